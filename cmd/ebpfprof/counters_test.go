package main

import (
	"strings"
	"testing"
	"time"

	"bytes"

	"github.com/ebpfprof/ebpfprof/pkg/loader/perfevent"
	"github.com/ebpfprof/ebpfprof/pkg/metrics"
)

// What an event counted in a window in which it never had a counter of the PMU waits for one in which it had, and is
// scaled with it: it is neither 0 nor lost.
func TestCountersWaitForTheirCounter(t *testing.T) {
	events, err := lookupEvents([]string{"cycles", "cache-misses"})
	if err != nil {
		t.Fatal(err)
	}
	n := &counters{events: events, asked: events, pending: map[string][]perfevent.Count{}, ratios: map[string]float64{}}
	total := func() string {
		var s metrics.Snapshot
		n.totals.AddTo(&s, "llc")
		var b bytes.Buffer
		if err := metrics.WriteText(&b, s); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	n.pending["web"] = []perfevent.Count{{Value: 1000, Enabled: 100, Running: 100}, {Enabled: 100}}
	n.publish(time.Now())
	if text := total(); !strings.Contains(text, `cpu_cycles_total{service="web"} 1000`) || strings.Contains(text, "cache_misses") {
		t.Errorf("after a window without a counter:\n%s", text)
	}
	n.pending["web"] = addCounts(n.pending["web"], []perfevent.Count{{Value: 500, Enabled: 100, Running: 100}, {Value: 7, Enabled: 100, Running: 50}})
	n.publish(time.Now())
	if text := total(); !strings.Contains(text, `cpu_cycles_total{service="web"} 1500`) || !strings.Contains(text, `cache_misses_total{level="llc",service="web"} 28`) {
		t.Errorf("after a window with a counter:\n%s", text)
	}
	if len(n.pending) != 0 || n.ratios["cache-misses"] != 0.25 || n.ratios["cycles"] != 1 {
		t.Errorf("pending %v, ratios %v", n.pending, n.ratios)
	}
}

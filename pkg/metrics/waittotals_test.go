package metrics

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

func waitsOf(seconds float64, counts ...uint64) Waits {
	return Waits{
		Seconds: map[string]float64{"io": seconds},
		Queued:  Histogram{Bounds: []float64{0.001, 0.1}, Counts: counts, Sum: seconds / 2},
	}
}

// A histogram's buckets are cumulative in the text, and what was added before stays as it was given.
func TestWaitTotals(t *testing.T) {
	var w WaitTotals
	first := waitsOf(2, 1, 0, 4)
	w.Add(time.Unix(1e9, 0), map[string]Waits{"web": first})
	w.Add(time.Unix(1e9, 0), map[string]Waits{"web": waitsOf(4, 1, 2, 0)})
	var s Snapshot
	w.AddTo(&s)
	w.Add(time.Unix(1e9, 0), map[string]Waits{"web": waitsOf(8, 8, 8, 8)}) // while it is written
	var b bytes.Buffer
	if err := WriteText(&b, s); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`ebpfprof_offcpu_seconds_total{service="web",state="io"} 6`,
		`ebpfprof_runqueue_latency_seconds_bucket{service="web",le="0.001"} 2`,
		`ebpfprof_runqueue_latency_seconds_bucket{service="web",le="0.1"} 4`,
		`ebpfprof_runqueue_latency_seconds_bucket{service="web",le="+Inf"} 8`,
		`ebpfprof_runqueue_latency_seconds_sum{service="web"} 3`,
		`ebpfprof_runqueue_latency_seconds_count{service="web"} 8`,
	} {
		if !strings.Contains(b.String(), want+"\n") {
			t.Errorf("no %s in\n%s", want, b.String())
		}
	}
	if first.Queued.Counts[0] != 1 {
		t.Errorf("what was added has changed: %v", first)
	}
}

// However many services there are, the number of series is bounded and nothing is lost.
func TestWaitTotalsAreBounded(t *testing.T) {
	w := WaitTotals{Services: 3}
	now := time.Unix(1e9, 0)
	for i := range 50 {
		now = now.Add(idleAfter / 2)
		w.Add(now, map[string]Waits{fmt.Sprint("s", i): waitsOf(1, 1, 0, 0), "always": waitsOf(1, 0, 0, 1)})
	}
	seconds, waits := 0.0, uint64(0)
	for _, sum := range w.sums {
		seconds += sum.Seconds["io"]
		waits += sum.Queued.Counts[0] + sum.Queued.Counts[2]
	}
	if seconds != 100 || waits != 100 || len(w.sums) > 4 {
		t.Errorf("%v s, %d waits in %d services", seconds, waits, len(w.sums))
	}
}

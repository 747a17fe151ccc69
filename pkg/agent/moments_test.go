package agent

import (
	"fmt"
	"testing"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
)

// TestMoments: each event is in the bucket of its time, equal ones in a row are one, and what has no room is counted.
func TestMoments(t *testing.T) {
	zero := time.Unix(1_700_000_000, 0)
	event, err := loader.ParseEvent("cpu", 100)
	if err != nil {
		t.Fatal(err)
	}
	m := &moments{}
	a, b := sampleKey{stack: 1}, sampleKey{stack: 2}
	one := count{samples: 1, events: 1}
	for _, x := range []struct {
		key sampleKey
		at  time.Duration
	}{{a, 1005 * time.Millisecond}, {a, 1019 * time.Millisecond}, {b, 1021 * time.Millisecond}, {a, 999 * time.Millisecond}, {b, 2 * time.Second}} {
		m.add(x.key, x.at, one)
	}
	samples := map[sampleKey]*pprof.Sample{a: {}, b: {}}
	times := m.timesAt(samples, KindOf(event), zero)
	if got := fmt.Sprint(times.Of[samples[a]], times.Of[samples[b]]); times.Base != zero.Add(980*time.Millisecond) || times.Left != 0 ||
		got != "[{1 20000000} {0 10000000}] [{2 10000000} {51 10000000}]" {
		t.Errorf("%s from %s", got, times.Base)
	}
	m.list = make([]moment, maxMoments)
	m.add(a, time.Hour, count{samples: 1, events: 3})
	if times := m.timesAt(nil, Kind{}, zero); len(m.list) != maxMoments || times.Left != 3 {
		t.Errorf("%d moments, %d left", len(m.list), times.Left)
	}
	if times := (&moments{}).timesAt(nil, Kind{}, zero); len(times.Of) != 0 {
		t.Errorf("moments of nothing: %v", times.Of)
	}
}

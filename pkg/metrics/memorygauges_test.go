package metrics

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The names without our prefix say who measured; a service that has gone has no memory and keeps its peak.
func TestMemoryGauges(t *testing.T) {
	var g MemoryGauges
	at := time.Unix(1e9, 0)
	g.Set(at, map[string]Memory{"web": {100, 40}, "db": {7, 5}})
	g.Set(at, map[string]Memory{"web": {90, 30}})
	var s Snapshot
	g.AddTo(&s)
	var b strings.Builder
	if err := WriteText(&b, s); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`memory_usage_bytes{service="web",source="ebpf"} 90`, `heap_size_bytes{service="web",source="ebpf"} 30`,
		`ebpfprof_heap_peak_bytes{service="web"} 40`, `ebpfprof_heap_peak_bytes{service="db"} 5`,
	} {
		if !strings.Contains(b.String(), "\n"+want+"\n") {
			t.Errorf("no %s in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), `memory_usage_bytes{service="db"`) {
		t.Errorf("a service that has gone has memory:\n%s", b.String())
	}
}

// What has no place is in the sum of the others, so that the sum over services is the machine's.
func TestMemoryGaugesAreBounded(t *testing.T) {
	g := MemoryGauges{Services: 3}
	at := time.Unix(1e9, 0)
	for range 20 {
		at = at.Add(idleAfter)
		all := map[string]Memory{}
		for i := range 50 {
			all[fmt.Sprint("s", at.Unix(), i)] = Memory{10, 1}
		}
		g.Set(at, all)
		sum := uint64(0)
		for _, m := range g.now {
			sum += m.Resident
		}
		if sum != 500 || len(g.now) > 4 || len(g.peaks) > 4 {
			t.Fatalf("%d bytes in %d services, %d peaks", sum, len(g.now), len(g.peaks))
		}
	}
}

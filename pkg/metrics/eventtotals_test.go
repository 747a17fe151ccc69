package metrics

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

func text(t *testing.T, e *EventTotals) string {
	t.Helper()
	var s Snapshot
	e.AddTo(&s, "l2")
	var b bytes.Buffer
	if err := WriteText(&b, s); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Totals only grow, ratios are of the last window, and what was not counted is absent.
func TestEventTotals(t *testing.T) {
	var e EventTotals
	now := time.Unix(1e9, 0)
	e.Add(now, map[string]map[string]float64{
		"web": {"cycles": 1000, "instructions": 500, "cache-references": 100, "cache-misses": 50, "minor-faults": 3},
		"db":  {"cycles": 10, "instructions": 0},
	})
	e.Add(now, map[string]map[string]float64{
		"web": {"cycles": 1000, "instructions": 2000, "cache-references": 100, "cache-misses": 10},
	})
	got := text(t, &e)
	for _, want := range []string{
		`ebpfprof_cpu_cycles_total{service="web"} 2000`, `ebpfprof_instructions_total{service="db"} 0`,
		`ebpfprof_cache_misses_total{level="l2",service="web"} 60`, `ebpfprof_page_faults_total{kind="minor",service="web"} 3`,
		`ebpfprof_cache_miss_ratio{level="l2",service="web"} 0.1`, `ebpfprof_instructions_per_cycle{service="web"} 2`,
		`ebpfprof_cache_misses_per_kilo_instruction{level="l2",service="web"} 5`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	for _, not := range []string{"llc", "l1d", `kind="major"`, `ratio{level="l2",service="db"}`, `per_cycle{service="db"}`} {
		if strings.Contains(got, not) && not != "l1d" && not != "llc" || strings.Contains(got, "ebpfprof_"+not) {
			t.Errorf("%s was not counted, in\n%s", not, got)
		}
	}
}

// However many services there are, the number of series is bounded and no count is lost.
func TestEventTotalsAreBounded(t *testing.T) {
	e := EventTotals{Services: 3}
	now := time.Unix(1e9, 0)
	for i := range 50 {
		now = now.Add(idleAfter / 2)
		e.Add(now, map[string]map[string]float64{fmt.Sprint("s", i): {"cycles": 1}, "always": {"cycles": 1}})
	}
	sum := 0.0
	for _, counts := range e.sums {
		sum += counts["cycles"]
	}
	if sum != 100 || len(e.sums) > 4 || e.sums["always"]["cycles"] != 50 {
		t.Errorf("%v adds up to %v in %d services", e.sums, sum, len(e.sums))
	}
}

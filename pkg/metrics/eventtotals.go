package metrics

import (
	"sync"
	"time"
)

// EventTotals sums counts of events by service, with as many services as Totals has: what a service had goes to "other"
// when it loses its place. EventTotals is safe for concurrent use; the zero value works.
type EventTotals struct {
	Services int // places: 0 means 200

	mu     sync.Mutex
	places places
	sums   map[string]map[string]float64 // service -> event -> total
	latest map[string]map[string]float64 // the same of the last window
}

// What is counted of allocations, beside perf events. AllocSeconds is the time in which AllocProbedSeconds were probed.
const (
	AllocBytes         = "alloc-bytes"
	AllocObjects       = "alloc-objects"
	AllocProbedSeconds = "alloc-probed-seconds"
	AllocSeconds       = "alloc-seconds"
	AllocHits          = "alloc-hits"
	AllocCostSeconds   = "alloc-cost-seconds"
)

// Add enters a window of all services: for each, what it counted by the name of the event. A service that is not in it
// counted nothing.
func (t *EventTotals) Add(now time.Time, window map[string]map[string]float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sums == nil {
		t.sums = map[string]map[string]float64{}
	}
	t.places.limit = t.Services
	t.latest = map[string]map[string]float64{}
	for service, counts := range window {
		name, evicted := t.places.take(now, service)
		if evicted != "" {
			addEvents(t.sums, other, t.sums[evicted])
			delete(t.sums, evicted)
		}
		addEvents(t.sums, name, counts)
		addEvents(t.latest, name, counts)
	}
}

func addEvents(sums map[string]map[string]float64, service string, counts map[string]float64) {
	if sums[service] == nil {
		sums[service] = map[string]float64{}
	}
	for event, n := range counts {
		sums[service][event] += n
	}
}

// An eventRow is the metric of an event. Its labels are service and what more says.
type eventRow struct {
	event string
	id    ID
	more  []string
}

// AddTo enters totals, and of the last window the ratios that it allows, in a snapshot. level is the level of cache that
// cache-references are of. What was not counted is absent.
func (t *EventTotals) AddTo(s *Snapshot, level string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	rows := []eventRow{
		{"cycles", CPUCyclesTotal, nil}, {"instructions", InstructionsTotal, nil},
		{"branches", BranchesTotal, nil}, {"branch-misses", BranchMissesTotal, nil},
		{"cache-references", CacheReferencesTotal, []string{level}}, {"cache-misses", CacheMissesTotal, []string{level}},
		{"L1-dcache-loads", L1DLoadsTotal, nil}, {"L1-dcache-load-misses", L1DLoadMissesTotal, nil},
		{"L1-icache-loads", L1ILoadsTotal, nil}, {"L1-icache-load-misses", L1ILoadMissesTotal, nil},
		{"LLC-loads", LLCLoadsTotal, nil}, {"LLC-load-misses", LLCLoadMissesTotal, nil},
		{"minor-faults", PageFaultsTotal, []string{"minor"}}, {"major-faults", PageFaultsTotal, []string{"major"}},
		{"context-switches", ContextSwitchesTotal, nil}, {"cpu-migrations", CPUMigrationsTotal, nil},
		{AllocBytes, AllocBytesTotal, nil}, {AllocObjects, AllocObjectsTotal, nil},
		{AllocProbedSeconds, AllocProbedSecondsTotal, nil}, {AllocHits, AllocHitsTotal, nil}, {AllocCostSeconds, AllocCostSecondsTotal, nil},
	}
	for service, counts := range t.sums {
		for _, row := range rows {
			if n, ok := counts[row.event]; ok {
				s.Add(row.id, n, append([]string{service}, row.more...)...)
			}
		}
	}
	for service, counts := range t.latest {
		for _, r := range []struct {
			id     ID
			a, b   string
			factor float64
			more   []string
		}{
			{CacheMissRatio, "cache-misses", "cache-references", 1, []string{level}},
			{CacheMissesPerKiloInstruction, "cache-misses", "instructions", 1000, []string{level}},
			{InstructionsPerCycle, "instructions", "cycles", 1, nil},
			{AllocDutyRatio, AllocProbedSeconds, AllocSeconds, 1, nil},
		} {
			a, ok := counts[r.a]
			if b := counts[r.b]; ok && b > 0 {
				s.Add(r.id, r.factor*a/b, append([]string{service}, r.more...)...)
			}
		}
	}
}

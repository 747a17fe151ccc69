package metrics

import (
	"sync"
	"time"
)

// Memory is what a service has, in bytes.
type Memory struct{ Resident, Heap uint64 }

// MemoryGauges are the memory of services at the last reading, and the most heap that each had at any. Services have
// places as in Totals: what has none is summed up as "other". MemoryGauges is safe for concurrent use; the zero value works.
type MemoryGauges struct {
	Services int // places: 0 means 200

	mu     sync.Mutex
	places places
	now    map[string]Memory
	peaks  map[string]uint64
}

// Set enters a reading of all services. One that is not in it has no process any more: its peak stays.
func (g *MemoryGauges) Set(at time.Time, all map[string]Memory) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.peaks == nil {
		g.peaks = map[string]uint64{}
	}
	g.places.limit = g.Services
	g.now = map[string]Memory{}
	for service, m := range all {
		name, evicted := g.places.take(at, service)
		if evicted != "" {
			delete(g.peaks, evicted) // peaks of two services do not add up
		}
		sum := g.now[name]
		g.now[name] = Memory{sum.Resident + m.Resident, sum.Heap + m.Heap}
	}
	for name, m := range g.now {
		g.peaks[name] = max(g.peaks[name], m.Heap)
	}
}

// AddTo enters everything in a snapshot.
func (g *MemoryGauges) AddTo(s *Snapshot) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for service, m := range g.now {
		s.Add(MemoryUsageBytes, float64(m.Resident), service)
		s.Add(HeapSizeBytes, float64(m.Heap), service)
	}
	for service, peak := range g.peaks {
		s.Add(HeapPeakBytes, float64(peak), service)
	}
}

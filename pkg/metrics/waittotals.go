package metrics

import (
	"sync"
	"time"
)

// Waits are what the threads of a service waited.
type Waits struct {
	Seconds map[string]float64 // by state
	Queued  Histogram          // each wait for a CPU, in seconds
}

// A Histogram counts values by size. All that are added to each other have the same bounds.
type Histogram struct {
	Bounds []float64 // upper ones, rising
	Counts []uint64  // of each bucket, not cumulative; one more than bounds
	Sum    float64
}

// add adds o, whose bounds it takes if it has none.
func (h *Histogram) add(o Histogram) {
	if h.Counts == nil {
		h.Bounds, h.Counts = o.Bounds, make([]uint64, len(o.Counts))
	}
	for i, n := range o.Counts {
		h.Counts[i] += n
	}
	h.Sum += o.Sum
}

// WaitTotals sums waits by service, with as many services as Totals has: what a service had goes to "other" when it loses
// its place. WaitTotals is safe for concurrent use; the zero value works.
type WaitTotals struct {
	Services int // places: 0 means 200

	mu     sync.Mutex
	places places
	sums   map[string]*Waits
}

// Add enters what services waited since the last time.
func (t *WaitTotals) Add(now time.Time, waited map[string]Waits) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sums == nil {
		t.sums = map[string]*Waits{}
	}
	t.places.limit = t.Services
	for service, w := range waited {
		name, evicted := t.places.take(now, service)
		if evicted != "" {
			t.add(other, *t.sums[evicted])
			delete(t.sums, evicted)
		}
		t.add(name, w)
	}
}

func (t *WaitTotals) add(service string, w Waits) {
	sum := t.sums[service]
	if sum == nil {
		sum = &Waits{Seconds: map[string]float64{}}
		t.sums[service] = sum
	}
	for state, seconds := range w.Seconds {
		sum.Seconds[state] += seconds
	}
	sum.Queued.add(w.Queued)
}

// AddTo enters the sums in a snapshot.
func (t *WaitTotals) AddTo(s *Snapshot) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for service, sum := range t.sums {
		for state, seconds := range sum.Seconds {
			s.Add(OffCPUSecondsTotal, seconds, service, state)
		}
		if sum.Queued.Counts != nil {
			s.AddHistogram(RunqueueLatencySeconds, sum.Queued, service)
		}
	}
}

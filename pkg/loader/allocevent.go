package loader

import (
	"errors"
	"fmt"
)

// typeAlloc is the type of the event alloc, which is none of perf's.
const typeAlloc = 1<<31 + 1

// allocName is the event's name.
const allocName = "alloc"

// DefaultAllocMean is how many bytes of allocations one is sampled for, on average, if nothing else is said: as in Go's
// runtime and in jemalloc.
const DefaultAllocMean = 512 << 10

// Bounds of the mean: the quantiles' differences are multiplied by 2^22, and below a page nearly all would be sampled.
const (
	minAllocMean = 4 << 10
	maxAllocMean = 1 << 38
)

// AllocEvent is the event "alloc": memory that targets ask their allocators for. An allocation of S bytes is sampled with
// the probability 1 - exp(-S/mean); 0: DefaultAllocMean. Nothing fires but at what Sampler.ProbeAllocs is given.
func AllocEvent(mean uint64) Event {
	if mean == 0 {
		mean = DefaultAllocMean
	}
	return Event{Name: allocName, Type: typeAlloc, Period: mean}
}

// IsAlloc reports whether the event is alloc.
func (e Event) IsAlloc() bool { return e.Type == typeAlloc }

// hasPrograms reports whether the event has programs of its own, and none of the perf events.
func (e Event) hasPrograms() bool { return e.probesAllocs() || e.IsOffCPU() }

// allocEvent is the number of the event alloc, or heap; -1 without one.
func (o Options) allocEvent() (int, error) {
	at := -1
	for i, e := range o.Events {
		if !e.probesAllocs() {
			continue
		}
		if at >= 0 {
			return 0, errors.New("events alloc and heap: want one of them, and once")
		}
		least := uint64(minAllocMean)
		if e.IsHeap() {
			least = minHeapMean
		}
		if e.Period < least || e.Period > maxAllocMean {
			return 0, fmt.Errorf("event %s: a sample for each %d bytes: want %d to %d", e.Name, e.Period, least, maxAllocMean)
		}
		at = i
	}
	return at, nil
}

// allocAccounts is how many accounts there are.
func (o Options) allocAccounts() int { return max(o.AllocAccounts, 1) }

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
func (e Event) hasPrograms() bool { return e.IsAlloc() || e.IsOffCPU() }

// allocEvent is the number of the event alloc; -1 without one.
func (o Options) allocEvent() (int, error) {
	at := -1
	for i, e := range o.Events {
		if !e.IsAlloc() {
			continue
		}
		if at >= 0 {
			return 0, errors.New("event alloc: want it once")
		}
		if e.Period < minAllocMean || e.Period > maxAllocMean {
			return 0, fmt.Errorf("event alloc: a sample for each %d bytes: want %d to %d", e.Period, minAllocMean, maxAllocMean)
		}
		at = i
	}
	return at, nil
}

// allocAccounts is how many accounts there are.
func (o Options) allocAccounts() int { return max(o.AllocAccounts, 1) }

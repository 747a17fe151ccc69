package goheap

import (
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// AllocOptions describe what was allocated in a span: a flow.
func AllocOptions(rate int64, start time.Time, d time.Duration) profile.BuilderOptions {
	o := HeapOptions(rate, start)
	o.SampleTypes, o.Duration = o.SampleTypes[:2], d
	return o
}

// InUseOptions describe what was in use at the end of a span: a level.
func InUseOptions(rate int64, start time.Time, d time.Duration) profile.BuilderOptions {
	o := HeapOptions(rate, start)
	o.SampleTypes, o.Duration = o.SampleTypes[2:], d
	return o
}

// AddAllocated adds to a builder of AllocOptions what was allocated since an earlier reading of the same process, and
// returns the sum.
func (h *Heap) AddAllocated(b *profile.Builder, program Program, labels profile.Labels, before *Heap) (objects, bytes int64) {
	s := newStacks(b, program, h.Depth, labels)
	for _, c := range h.changes(before) {
		objects, bytes = objects+c.values[0], bytes+c.values[1]
		s.addHalf(c.stack, c.values[:2])
	}
	return objects, bytes
}

// AddInUse adds to a builder of InUseOptions what is in use, and returns the sum.
func (h *Heap) AddInUse(b *profile.Builder, program Program, labels profile.Labels) (objects, bytes int64) {
	s := newStacks(b, program, h.Depth, labels)
	for i := range h.Records {
		values := h.Records[i].Scaled(h.Rate)
		objects, bytes = objects+values[2], bytes+values[3]
		s.addHalf(h.Records[i].Stack, values[2:])
	}
	return objects, bytes
}

func (s *stacks) addHalf(stack []uint64, values []int64) {
	if values[0] != 0 || values[1] != 0 {
		s.add(s.withoutRuntime(stack), len(stack), values...)
	}
}

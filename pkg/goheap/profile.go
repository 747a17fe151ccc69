package goheap

import (
	"math"
	"slices"
	"strings"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// A Namer names addresses of the program's file; *symbolize.Object does.
type Namer interface {
	Frames(vaddr uint64) []profile.Frame
	Mapping(vaddr uint64, file string) profile.Mapping
}

// A Program is whose stacks are named, and how its file is shown.
type Program struct {
	Namer
	File string
}

// HeapOptions describe a memory profile by pprof's conventions.
func HeapOptions(rate int64, at time.Time) profile.BuilderOptions {
	return profile.BuilderOptions{
		SampleTypes: []profile.ValueType{
			{Type: "alloc_objects", Unit: "count"}, {Type: "alloc_space", Unit: "bytes"},
			{Type: "inuse_objects", Unit: "count"}, {Type: "inuse_space", Unit: "bytes"},
		},
		PeriodType: profile.ValueType{Type: "space", Unit: "bytes"},
		Period:     rate,
		Start:      at,
	}
}

// ContentionOptions describe a block or mutex profile by pprof's conventions.
func ContentionOptions(at time.Time) profile.BuilderOptions {
	return profile.BuilderOptions{
		SampleTypes: []profile.ValueType{{Type: "contentions", Unit: "count"}, {Type: "delay", Unit: "nanoseconds"}},
		PeriodType:  profile.ValueType{Type: "contentions", Unit: "count"},
		Period:      1,
		Start:       at,
	}
}

// Profile names the records and returns them as runtime/pprof would write them.
func (h *Heap) Profile(program Program, labels profile.Labels, at time.Time) *pprof.Profile {
	o := HeapOptions(h.Rate, at)
	o.Comments = []string{h.Stats.String()}
	b := profile.NewBuilder(o)
	h.AddTo(b, program, labels)
	return b.Profile()
}

// AddTo adds the records to a builder of HeapOptions, each scaled by its own
// probability of having been sampled, so that profiles of several rates add up.
func (h *Heap) AddTo(b *profile.Builder, program Program, labels profile.Labels) {
	s := newStacks(b, program, h.Depth, labels)
	for _, r := range h.Records {
		values := r.Scaled(h.Rate)
		if values == [4]int64{} {
			continue
		}
		s.add(s.withoutRuntime(r.Stack), len(r.Stack), values[:]...)
	}
}

// Scaled returns what the record stands for: alloc_objects, alloc_space,
// inuse_objects, inuse_space.
func (r *HeapRecord) Scaled(rate int64) (v [4]int64) {
	v[0], v[1] = scale(r.AllocObjects, r.AllocBytes, rate)
	v[2], v[3] = scale(r.AllocObjects-r.FreeObjects, r.AllocBytes-r.FreeBytes, rate)
	return v
}

// scale divides by the probability that an object of this size is sampled, which is
// 1-exp(-size/rate): runtime/pprof scaleHeapSample. A rate of 1 samples all.
func scale(count, size, rate int64) (int64, int64) {
	if count <= 0 || size <= 0 {
		return 0, 0
	}
	if rate <= 1 {
		return count, size
	}
	average := float64(size) / float64(count)
	factor := 1 / (1 - math.Exp(-average/float64(rate)))
	return int64(min(float64(count)*factor, math.MaxInt64/2)), int64(min(float64(size)*factor, math.MaxInt64/2))
}

// Profile names the records and returns them as runtime/pprof would write them.
func (c *Contention) Profile(program Program, labels profile.Labels, at time.Time) *pprof.Profile {
	o := ContentionOptions(at)
	o.Comments = []string{c.Stats.String()}
	b := profile.NewBuilder(o)
	c.AddTo(b, program, labels)
	return b.Profile()
}

// AddTo adds the records to a builder of ContentionOptions.
func (c *Contention) AddTo(b *profile.Builder, program Program, labels profile.Labels) {
	s := newStacks(b, program, c.Depth, labels)
	for _, r := range c.Records {
		s.add(r.Stack, len(r.Stack), r.Count, int64(c.Delay(r.Ticks)))
	}
}

// stacks turns stacks of return addresses into locations.
type stacks struct {
	b       *profile.Builder
	program Program
	depth   int
	labels  profile.Labels
	frames  map[uint64][]profile.Frame
	known   map[uint64]*pprof.Location
	locs    []*pprof.Location
}

func newStacks(b *profile.Builder, program Program, depth int, labels profile.Labels) *stacks {
	return &stacks{b: b, program: program, depth: depth, labels: labels, frames: map[uint64][]profile.Frame{}, known: map[uint64]*pprof.Location{}}
}

// at names the call that returns to pc.
func (s *stacks) at(pc uint64) []profile.Frame {
	f, ok := s.frames[pc]
	if !ok {
		f = s.program.Frames(pc - 1)
		s.frames[pc] = f
	}
	return f
}

// withoutRuntime cuts the runtime's own functions from the leaf, as runtime/pprof
// does: not that an append grew a slice is of interest, but whose. A stack of
// nothing else stays whole.
func (s *stacks) withoutRuntime(stack []uint64) []uint64 {
	for i, pc := range stack {
		f := s.at(pc)
		if len(f) == 0 || !(strings.HasPrefix(f[0].Name, "runtime.") || strings.HasPrefix(f[0].Name, "internal/runtime/")) {
			return stack[i:]
		}
	}
	return stack
}

// add adds one sample. recorded is how many addresses the runtime recorded: as many
// as it may, and the last is no start of a goroutine, is a cut stack.
func (s *stacks) add(stack []uint64, recorded int, values ...int64) {
	s.locs = s.locs[:0]
	whole := recorded < s.depth
	for len(stack) > 0 {
		frames := s.at(stack[0])
		if len(stack) == 1 && len(frames) == 1 && frames[0].Name == "runtime.goexit" {
			whole = true // and left out, as in Go's own profiles
			break
		}
		s.locs = append(s.locs, s.location(stack[0]-1, frames))
		stack = stack[s.logical(stack, frames):]
	}
	labels := s.labels
	if !whole {
		labels.Stack = "truncated"
		s.locs = append(s.locs, s.b.Marker("[truncated]"))
	}
	s.b.Sample(s.locs, labels, values...)
}

func (s *stacks) location(vaddr uint64, frames []profile.Frame) *pprof.Location {
	l := s.known[vaddr]
	if l == nil {
		mapping := s.program.Mapping(vaddr, s.program.File)
		if mapping.Limit == 0 {
			mapping = profile.Mapping{File: "[unknown]"} // a plug-in, or C that the program walked itself
		}
		l = s.b.Location(mapping, vaddr, frames)
		s.known[vaddr] = l
	}
	return l
}

// logical returns how many of the addresses stand for one machine frame. For each
// call that was inlined the runtime records an address of its own, inside the
// function that holds the code (runtime/traceback.go tracebackPCs): it names the
// callers of the call before it. A stack that was recorded by frame pointers has
// none of these.
func (s *stacks) logical(stack []uint64, frames []profile.Frame) int {
	n := 1
	for outer := 1; outer < len(frames) && n < len(stack); outer++ {
		// The symbolizer leaves out wrappers, and so does the runtime.
		if !slices.Equal(s.at(stack[n]), frames[outer:]) {
			break
		}
		n++
	}
	return n
}

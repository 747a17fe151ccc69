package main

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/agent"
	"github.com/ebpfprof/ebpfprof/pkg/loader"
)

// An allocSampler is what samples allocations: probes on allocators, or a helper in the processes.
type allocSampler interface {
	Start(pids []int, started ...int) error
	Run(stopped <-chan struct{})
	// Sample prepares a sample, and tells whether it counts.
	Sample(s *loader.Sample) bool
	LeftOut() uint64
	Summary(period, objects int64) *agent.AllocSummary
	// Recorded says of a recording until then what its values are of.
	Recorded(period int64, until time.Time) []string
	Close()
}

// allocating is the side of a recording that samples allocations. A nil one does nothing.
type allocating struct {
	allocSampler
	event   int
	name    string
	period  int64
	begun   bool
	end     time.Time
	stopped chan struct{}
	ended   chan struct{}
}

// handler takes the samples: calls from within an allocator are left out.
func (r *recording) handler() loader.Handler {
	if r.live != nil {
		return r.live.recorder
	}
	if r.allocs == nil {
		return r.recorder
	}
	return ownSamples{r.recorder, r.allocs, r.allocs.event}
}

// ownSamples prepares the samples of the event alloc, and leaves out those that do not count.
type ownSamples struct {
	loader.Handler
	allocs interface{ Sample(*loader.Sample) bool }
	event  int
}

func (h ownSamples) Sample(s *loader.Sample) {
	if s.Event == h.event && !h.allocs.Sample(s) {
		return
	}
	h.Handler.Sample(s)
}

// openAllocs prepares for the event alloc, if it is asked for.
func (r *recording) openAllocs() error {
	at := slices.IndexFunc(r.events, func(e loader.Event) bool { return e.IsAlloc() || e.IsHeap() })
	if at < 0 {
		return nil
	}
	a, err := r.newAllocSampler()
	if err != nil {
		return err
	}
	r.allocs = &allocating{
		allocSampler: a, event: at, name: r.events[at].Name, period: int64(r.events[at].Period),
		stopped: make(chan struct{}), ended: make(chan struct{}),
	}
	r.live.follow(r)
	return nil
}

func (r *recording) newAllocSampler() (allocSampler, error) {
	if r.helper != nil {
		p, err := agent.NewPreloaded(r.fs, r.sampler, r.helper.Path)
		if err != nil {
			return nil, err
		}
		return helping{p}, nil
	}
	budget := r.allocBudget
	if r.live != nil {
		budget = 0 // frees that are not seen would be leaks
	}
	a, err := agent.NewAllocations(agent.AllocOptions{FS: r.fs, Kernel: r.sampler, Budget: budget, Frees: r.live != nil})
	if err != nil {
		return nil, err
	}
	return probing{a}, nil
}

// probing samples by probes on allocators: calls from within one are left out.
type probing struct{ *agent.Allocations }

func (p probing) Sample(s *loader.Sample) bool { return !p.Nested(s) }
func (p probing) LeftOut() uint64              { return p.NestedSamples() }

// startAllocs puts the probes.
func (r *recording) startAllocs() error {
	a := r.allocs
	if a == nil {
		return nil
	}
	var started []int
	if r.child != nil && r.targets.Child {
		started = append(started, r.child.pid())
	}
	r.live.begin()
	a.begun = true
	err := a.Start(r.targets.PIDs, started...)
	if err != nil {
		close(a.ended)
		return err
	}
	go func() { defer close(a.ended); a.Run(a.stopped) }()
	return nil
}

// stop takes the probes away. It is called once.
func (a *allocating) stop() {
	if a == nil {
		return
	}
	a.end = time.Now()
	close(a.stopped)
	<-a.ended
}

func (a *allocating) close() {
	if a == nil {
		return
	}
	select {
	case <-a.ended:
	default: // it failed before stop
		if a.begun {
			a.stop()
		}
	}
	a.Close()
}

// discount takes calls from within allocators out of what was counted.
func (a *allocating) discount(c *loader.Counters, e loader.Event) {
	if a == nil || e.Name != a.name {
		return
	}
	out := a.LeftOut()
	c.Fired -= out
	c.Samples -= out
	c.Filtered += out
}

func (a *allocating) summary(e loader.Event, objects float64) *agent.AllocSummary {
	return a.Summary(int64(e.Period), int64(math.Round(objects)))
}

// comments say what the values are of.
func (a *allocating) comments() []string {
	if a == nil {
		return nil
	}
	return a.Recorded(a.period, a.end)
}

// silence says why there are no samples.
func (a *allocating) silence() string {
	s := a.Summary(a.period, 0)
	switch {
	case s.Preload != nil:
		return preloadSilence(s)
	case len(s.Allocators) == 0:
		return "no allocator is known in what the targets run"
	}
	return fmt.Sprintf("%d calls of allocators, of too few bytes for the period of %d", s.Hits, a.period)
}

package main

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/agent"
	"github.com/ebpfprof/ebpfprof/pkg/loader"
)

// allocating is the side of a recording that keeps probes on allocators. A nil one does nothing.
type allocating struct {
	*agent.Allocations
	event   int
	period  int64
	begin   time.Time
	stopped chan struct{}
	ended   chan struct{}
}

// handler takes the samples: calls from within an allocator are left out.
func (r *recording) handler() loader.Handler {
	if r.allocs == nil {
		return r.recorder
	}
	return allocHandler{r.recorder, r.allocs}
}

type allocHandler struct {
	*agent.Recorder
	allocs *allocating
}

func (h allocHandler) Sample(s *loader.Sample) {
	if s.Event == h.allocs.event && h.allocs.Nested(s) {
		return
	}
	h.Recorder.Sample(s)
}

// openAllocs prepares for the event alloc, if it is asked for.
func (r *recording) openAllocs() error {
	at := slices.IndexFunc(r.events, loader.Event.IsAlloc)
	if at < 0 {
		return nil
	}
	a, err := agent.NewAllocations(r.fs, r.sampler, r.allocBudget)
	if err != nil {
		return err
	}
	r.allocs = &allocating{
		Allocations: a, event: at, period: int64(r.events[at].Period),
		stopped: make(chan struct{}), ended: make(chan struct{}),
	}
	return nil
}

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
	a.begin = time.Now()
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
		if !a.begin.IsZero() {
			a.stop()
		}
	}
	a.Close()
}

// discount takes calls from within allocators out of what was counted.
func (a *allocating) discount(c *loader.Counters, e loader.Event) {
	if a == nil || !e.IsAlloc() {
		return
	}
	nested := a.NestedSamples()
	c.Fired -= nested
	c.Samples -= nested
	c.Filtered += nested
}

func (a *allocating) summary(e loader.Event, objects float64) (*agent.AllocSummary, error) {
	return a.Summary(int64(e.Period), int64(math.Round(objects)))
}

// comments say what the values are of.
func (a *allocating) comments() []string {
	if a == nil {
		return nil
	}
	s, err := a.Summary(a.period, 0)
	if err != nil {
		return []string{"alloc: " + err.Error()}
	}
	of := time.Since(a.begin).Seconds()
	return []string{fmt.Sprintf("alloc: probes were in place for %.2f s of %.2f s, in %d windows: values are of that time; "+
		"%d calls cost the targets about %.3f s; a sample for each %d bytes on average, weighted by 1/(1-exp(-size/%d))",
		min(s.AttachedSeconds, of), of, s.Windows, s.Hits, s.CostSeconds, a.period, a.period)}
}

// silence says why there are no samples.
func (a *allocating) silence() string {
	s, err := a.Summary(a.period, 0)
	switch {
	case err != nil:
		return err.Error()
	case len(s.Allocators) == 0:
		return "no allocator is known in what the targets run"
	}
	return fmt.Sprintf("%d calls of allocators, of too few bytes for the period of %d", s.Hits, a.period)
}

package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/agent"
	"github.com/ebpfprof/ebpfprof/pkg/config"
	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/loader/perfevent"
	"github.com/ebpfprof/ebpfprof/pkg/server"
)

// daemonOffCPUMean is for which time of waiting the daemon samples one stack, unless the event says: it has hours to
// sample in, and threads that wake every few milliseconds for nothing wait all the time.
const daemonOffCPUMean = time.Second

// chooseEvents returns the events of a configuration that this machine can sample, and as kinds with their problem those
// that it cannot: a daemon that is asked for cache misses everywhere still profiles where there are no such counters.
// allocPeriod is that of the event alloc without one of its own.
//
// Errors: wrong names, and that no event is left.
func chooseEvents(c config.Sampling, allocPeriod uint64) (events []loader.Event, refused []server.KindStatus, err error) {
	offCPU := loader.OffCPUEvent(daemonOffCPUMean)
	var failed error
	for i, name := range c.Events {
		e, err := loader.ParseEvent(name, c.Frequency)
		if err == nil && e.IsAlloc() && name == e.Name {
			e = loader.AllocEvent(allocPeriod)
		}
		if name == offCPU.Name {
			e = offCPU
		}
		why := err
		if err == nil && (e.IsOffCPU() || e.IsAlloc()) {
			why = nil // the programs tell when they are loaded
		} else if err == nil {
			why = perfevent.CanSample(perfevent.Event{Name: e.Name, Type: e.Type, Config: e.Config})
		} else if !missingTracepoint(err) {
			return nil, nil, fmt.Errorf("sampling.events[%d]: %w", i, err)
		}
		if why == nil {
			events = append(events, e)
			continue
		}
		if e.Name == "" {
			e.Name = name
		}
		k := agent.KindOf(e)
		refused = append(refused, server.KindStatus{Name: k.Name(), Unit: k.Type.Unit, Problem: why.Error()})
		failed = errors.Join(failed, why)
	}
	if len(events) == 0 {
		return nil, nil, fmt.Errorf("%w: no event of sampling.events can be sampled: %w", loader.ErrKernel, failed)
	}
	if err := agent.CheckKinds(agent.KindsOf(events...)); err != nil {
		return nil, nil, fmt.Errorf("sampling.events: %w", err)
	}
	return events, refused, nil
}

// openEvents opens a sampler with open, which is loader.Open, and returns the events that it has. Whether this kernel has
// what off-cpu and alloc need shows when their programs are loaded: where they cannot be, the other events are sampled, and
// refused says why these are not.
func openEvents(o loader.Options, open func(loader.Options) (*loader.Sampler, error)) (
	s *loader.Sampler, events []loader.Event, refused []server.KindStatus, err error,
) {
	s, err = open(o)
	if !errors.Is(err, loader.ErrKernel) {
		return s, o.Events, nil, err
	}
	why := err
	all := o.Events
	either := func(e loader.Event) bool { return e.IsOffCPU() || e.IsAlloc() }
	for _, lacking := range []func(loader.Event) bool{loader.Event.IsAlloc, loader.Event.IsOffCPU, either} {
		events, refused = nil, nil
		for _, e := range all {
			if !lacking(e) {
				events = append(events, e)
				continue
			}
			k := agent.KindOf(e)
			refused = append(refused, server.KindStatus{Name: k.Name(), Unit: k.Type.Unit, Problem: why.Error()})
		}
		if len(events) == 0 || len(refused) == 0 {
			continue
		}
		o.Events = events
		if s, err = open(o); !errors.Is(err, loader.ErrKernel) {
			return s, events, refused, err
		}
	}
	return nil, nil, nil, why
}

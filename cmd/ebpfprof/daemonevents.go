package main

import (
	"errors"
	"fmt"

	"github.com/ebpfprof/ebpfprof/pkg/agent"
	"github.com/ebpfprof/ebpfprof/pkg/config"
	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/loader/perfevent"
	"github.com/ebpfprof/ebpfprof/pkg/server"
)

// chooseEvents returns the events of a configuration that this machine can sample, and as kinds with their problem those
// that it cannot: a daemon that is asked for cache misses everywhere still profiles where there are no such counters.
//
// Errors: wrong names, and that no event is left.
func chooseEvents(c config.Sampling) (events []loader.Event, refused []server.KindStatus, err error) {
	var failed error
	for i, name := range c.Events {
		e, err := loader.ParseEvent(name, c.Frequency)
		if e.IsAlloc() {
			return nil, nil, fmt.Errorf("sampling.events[%d]: alloc is for processes that are named: use ebpfprof record -e alloc", i)
		}
		why := err
		if err == nil && e.IsOffCPU() {
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
// what off-cpu needs shows when its programs are loaded: where they cannot be, the other events are sampled, and refused
// says why it is not.
func openEvents(o loader.Options, open func(loader.Options) (*loader.Sampler, error)) (
	s *loader.Sampler, events []loader.Event, refused []server.KindStatus, err error,
) {
	s, err = open(o)
	if !errors.Is(err, loader.ErrKernel) {
		return s, o.Events, nil, err
	}
	why := err
	for _, e := range o.Events {
		if !e.IsOffCPU() {
			events = append(events, e)
			continue
		}
		k := agent.KindOf(e)
		refused = append(refused, server.KindStatus{Name: k.Name(), Unit: k.Type.Unit, Problem: why.Error()})
	}
	if len(events) == 0 || len(refused) == 0 {
		return nil, nil, nil, why
	}
	o.Events = events
	s, err = open(o)
	return s, events, refused, err
}

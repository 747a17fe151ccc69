package main

import (
	"context"
	"errors"
	"fmt"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/agent"
	"github.com/ebpfprof/ebpfprof/pkg/config"
	"github.com/ebpfprof/ebpfprof/pkg/goheap"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
	"github.com/ebpfprof/ebpfprof/pkg/server"
)

// serviceHeaps read the heaps of services as the server asks for them.
type serviceHeaps struct{ agent.ServiceHeaps }

func newServiceHeaps(c config.Config, fs proc.FS, identify agent.Identifier, cache *goheap.Cache) (serviceHeaps, error) {
	targets, err := targetsOf(c.Sampling.Targets)
	return serviceHeaps{agent.ServiceHeaps{FS: fs, Targets: targets, Identify: identify, Cache: cache}}, err
}

func (s serviceHeaps) profile(ctx context.Context, q server.HeapQuery) (*pprof.Profile, error) {
	p, err := s.Profile(ctx, agent.HeapRequest{Service: q.Service, Over: q.Over, DefaultType: q.Value, Comments: q.Comments})
	switch {
	case errors.Is(err, agent.ErrNoService):
		return nil, told{err, server.ErrNoService}
	case errors.Is(err, agent.ErrNoHeap):
		return nil, told{err, server.ErrNoHeap}
	case err != nil:
		return nil, fmt.Errorf("read heap of %s: %w", q.Service, err)
	}
	return p, nil
}

// A told error is one with the server's name for it, which the text does not repeat.
type told struct {
	error
	as error
}

func (t told) Unwrap() []error { return []error{t.error, t.as} }

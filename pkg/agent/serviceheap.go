package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/goheap"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

// ErrNoService is in the chain of errors about a service of which no process lives.
var ErrNoService = errors.New("no process of this service runs")

// ErrNoHeap is in the chain of errors about a service none of whose processes has a memory profile; the text says why.
var ErrNoHeap = errors.New("no memory profile")

// ServiceHeaps reads the memory profiles of a service's Go processes on request. Its methods may be called concurrently.
type ServiceHeaps struct {
	FS       proc.FS
	Targets  Targets    // whom it may read
	Identify Identifier // nil: IdentifyByProc
	Cache    *goheap.Cache
}

// A HeapRequest says of which service, and how.
type HeapRequest struct {
	Service string
	// Over is the time between two readings of which the difference is wanted; 0: one reading, of now.
	Over        time.Duration
	DefaultType string // sample type that readers show first; "": the last, inuse_space
	Comments    []string
}

// Profile reads the processes of a service. The error has ErrNoService or ErrNoHeap in its chain, or is that of ctx.
func (s *ServiceHeaps) Profile(ctx context.Context, r HeapRequest) (*pprof.Profile, error) {
	g := &GoHeaps{FS: s.FS, Identify: s.Identify, Cache: s.Cache}
	defer g.Close()
	if err := s.look(g, r.Service); err != nil {
		return nil, err
	}
	begun := time.Now()
	if r.Over == 0 {
		p, summary := g.Profile(begun, r.DefaultType, r.Comments...)
		return p, withoutHeap(r.Service, summary)
	}
	if err := withoutHeap(r.Service, g.summary(begun)); err != nil {
		return nil, err // nor will there be one
	}
	mark := g.mark()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(r.Over):
	}
	if err := s.look(g, r.Service); err != nil {
		return nil, err
	}
	ended := time.Now()
	comments := append([]string{
		"heap: the difference between two readings, each as of the last but one garbage collection: allocated between them, and by how much what is in use has grown",
	}, r.Comments...)
	p, n := g.profileSince(mark, begun, ended, r.DefaultType, comments)
	if n == 0 {
		return nil, fmt.Errorf("%w of %s at both times: its Go processes have ended", ErrNoHeap, r.Service)
	}
	return p, nil
}

// look reads every process of the service that lives now.
func (s *ServiceHeaps) look(g *GoHeaps, service string) error {
	identify := s.Identify
	if identify == nil {
		identify = IdentifyByProc(s.FS)
	}
	pids, err := s.Targets.Processes(s.FS)
	if err != nil {
		return fmt.Errorf("list targets: %w", err)
	}
	var mine []int
	for _, pid := range pids {
		p, err := s.FS.Process(pid)
		if err != nil || p.KernelThread {
			continue
		}
		if who := identify(pid, p.StartTicks); who.OK && !who.Drop && who.Service == service {
			mine = append(mine, pid)
		}
	}
	if len(mine) == 0 {
		return fmt.Errorf("%w: %s", ErrNoService, service)
	}
	g.Look(mine)
	return nil
}

// withoutHeap is the reason if a service has nothing to show.
func withoutHeap(service string, s HeapSummary) error {
	if s.Processes > 0 {
		return nil
	}
	if len(s.Without) == 0 {
		return fmt.Errorf("%w: %s", ErrNoService, service)
	}
	w := s.Without[0]
	more := ""
	if s.WithoutTotal > 1 {
		more = fmt.Sprintf(" (and %d other processes)", s.WithoutTotal-1)
	}
	return fmt.Errorf("%w of %s: process %d (%s): %s%s", ErrNoHeap, service, w.PID, w.Comm, w.Reason, more)
}

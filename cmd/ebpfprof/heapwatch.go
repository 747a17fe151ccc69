package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/agent"
	"github.com/ebpfprof/ebpfprof/pkg/goheap"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

// heapEvent is the name of the event that is no event: the memory profiles of Go programs, read when a recording ends.
const heapEvent = "heap"

// A heapWatch reads the heaps of a recording's targets. Of processes that were named, or that we started, it reads them
// again and again, as nobody can read one that has ended.
type heapWatch struct {
	fs      proc.FS
	targets agent.Targets
	heaps   agent.GoHeaps
	follow  bool

	child int            // 0: none
	known map[int]uint64 // start times of targets: a child whose parent has ended is nobody's descendant any more
	stop  chan struct{}
	done  chan error
}

// Looks begin soon, as many commands end soon, and become rarer; all together they may take a twentieth of a CPU (finding the
// variables of a new program takes 5 ms, a reading 0.2 ms).
const (
	firstHeapLook = 10 * time.Millisecond
	heapInterval  = 500 * time.Millisecond
	heapShare     = 20
)

func newHeapWatch(fs proc.FS, targets agent.Targets, child bool, enable int64) *heapWatch {
	return &heapWatch{
		fs: fs, targets: targets, follow: len(targets.PIDs) > 0 || child, known: map[int]uint64{},
		heaps: agent.GoHeaps{FS: fs, Cache: &goheap.Cache{}, Enable: enable, Notify: func(line string) {
			fmt.Fprintln(os.Stderr, line)
		}},
		stop: make(chan struct{}), done: make(chan error, 1),
	}
}

// start begins to look. child is 0 if there is none.
func (h *heapWatch) start(child int) {
	h.child = child
	go func() { h.done <- h.run() }()
}

// end takes a last look.
func (h *heapWatch) end() error {
	close(h.stop)
	return <-h.done
}

func (h *heapWatch) run() error {
	if !h.follow {
		if h.heaps.Enable > 0 {
			if err := h.look(); err != nil {
				return err
			}
		}
		<-h.stop
		return h.look()
	}
	for interval := firstHeapLook; ; interval = min(2*interval, heapInterval) {
		before := h.heaps.Cost()
		if err := h.look(); err != nil {
			return err
		}
		select {
		case <-h.stop:
			return h.look()
		case <-time.After(max(interval, heapShare*(h.heaps.Cost()-before))):
		}
	}
}

func (h *heapWatch) look() error {
	var extra []int
	if h.targets.Child && h.child != 0 {
		extra = append(extra, h.child)
	}
	for pid, start := range h.known {
		if p, err := h.fs.Process(pid); err == nil && p.StartTicks == start {
			extra = append(extra, pid)
		} else {
			delete(h.known, pid)
		}
	}
	pids, err := h.targets.Processes(h.fs, extra...)
	if err != nil {
		return fmt.Errorf("list targets: %w", err)
	}
	if h.follow {
		for _, pid := range pids {
			if p, err := h.fs.Process(pid); err == nil {
				h.known[pid] = p.StartTicks
			}
		}
	}
	h.heaps.Look(pids)
	return nil
}

// close undoes what was enabled.
func (h *heapWatch) close() error { return h.heaps.Close() }

// noHeap says why there is nothing.
func noHeap(s agent.HeapSummary) error {
	if s.WithoutTotal == 0 {
		return errors.New("no heap: no target lived at the end")
	}
	if len(s.Without) == 0 {
		return fmt.Errorf("no heap of %d processes", s.WithoutTotal)
	}
	w := s.Without[0]
	more := ""
	if s.WithoutTotal > 1 {
		more = fmt.Sprintf(" (and %d others)", s.WithoutTotal-1)
	}
	return fmt.Errorf("no heap of process %d (%s): %s%s", w.PID, w.Comm, w.Reason, more)
}

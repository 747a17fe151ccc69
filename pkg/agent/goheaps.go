package agent

import (
	"errors"
	"fmt"
	"slices"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/goheap"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// GoHeaps reads the memory profiles of Go processes, from outside, and joins them. It is not safe for concurrent use.
// Close it: it holds a descriptor for each process and each program.
type GoHeaps struct {
	FS       proc.FS
	Identify Identifier    // nil: IdentifyByProc
	Cache    *goheap.Cache // may be nil
	// Enable, if not 0, is the rate at which memory profiling is turned on in Go programs that have it off: it changes
	// them. Close undoes it.
	Enable int64
	Notify func(line string) // what Enable did; nil: nobody is told

	watched  map[heapKey]*watchedHeap
	programs map[proc.FileID]*heapProgram
	dropped  int // processes that there was no room for
	cost     time.Duration
}

// maxHeaps bounds the processes, and with it descriptors and profiles that are held.
const maxHeaps = 4096

type heapKey struct {
	pid   int
	start uint64
}

// A watchedHeap is the last that is known of a process.
type watchedHeap struct {
	comm     string
	identity Identity
	process  *goheap.Process // nil: could not be opened, or has ended
	heap     *goheap.Heap    // the last one; nil: none so far
	at       time.Time       // of heap
	program  *heapProgram    // of heap
	err      error           // of the last reading; nil: heap is it
	restores []func() error
}

// Look reads the profiles of processes as they are now. What it read of one before is kept when it has ended.
func (g *GoHeaps) Look(pids []int) {
	if g.watched == nil {
		g.watched, g.programs = map[heapKey]*watchedHeap{}, map[proc.FileID]*heapProgram{}
	}
	begun := time.Now()
	for _, pid := range pids {
		p, err := g.FS.Process(pid)
		if err != nil || p.KernelThread {
			continue // has ended, and what is known of it stays
		}
		w := g.watch(p)
		if w == nil || w.identity.Drop {
			continue
		}
		w.comm = printable(p.Comm)
		g.read(w, pid)
		if g.Enable > 0 && errors.Is(w.err, goheap.ErrDisabled) {
			g.enable(w, pid)
		}
	}
	g.cost += time.Since(begun)
}

// Cost is the time that reading took so far.
func (g *GoHeaps) Cost() time.Duration { return g.cost }

func (g *GoHeaps) watch(p proc.Process) *watchedHeap {
	key := heapKey{p.PID, p.StartTicks}
	if w := g.watched[key]; w != nil {
		return w
	}
	if len(g.watched) >= maxHeaps {
		g.dropped++
		return nil
	}
	identify := g.Identify
	if identify == nil {
		identify = IdentifyByProc(g.FS)
	}
	w := &watchedHeap{identity: identify(p.PID, p.StartTicks)}
	g.watched[key] = w
	return w
}

// read reads a process anew. One that has become another program meanwhile is opened again.
func (g *GoHeaps) read(w *watchedHeap, pid int) {
	for range 2 {
		if w.process == nil {
			if w.process, w.err = goheap.Open(goheap.Options{FS: g.FS, PID: pid, Cache: g.Cache}); w.err != nil {
				w.process = nil
				if errors.Is(w.err, goheap.ErrUnsupported) {
					w.heap = nil // of the program that it was
				}
				return
			}
		}
		var h *goheap.Heap
		if h, w.err = w.process.Heap(); w.err == nil {
			w.err = g.keep(w, h, pid)
			return
		}
		if !errors.Is(w.err, goheap.ErrGone) {
			return
		}
		w.process.Close()
		w.process, w.restores = nil, nil
	}
}

// keep remembers a profile, and the program that names its addresses.
func (g *GoHeaps) keep(w *watchedHeap, h *goheap.Heap, pid int) error {
	p := g.programs[w.process.File()]
	if p == nil {
		var err error
		if p, err = openHeapProgram(g.FS, pid, w.process.File()); err != nil {
			return err
		}
		g.programs[w.process.File()] = p
	}
	w.heap, w.at, w.program = h, time.Now(), p
	return nil
}

// retain forgets every process that keep does not want, and the programs that none runs any more.
func (g *GoHeaps) retain(keep func(heapKey, *watchedHeap) bool) {
	run := map[*heapProgram]bool{}
	for key, w := range g.watched {
		if keep(key, w) {
			run[w.program] = true
			continue
		}
		if w.process != nil {
			w.process.Close()
		}
		delete(g.watched, key)
	}
	for id, p := range g.programs {
		if !run[p] {
			p.close()
			delete(g.programs, id)
		}
	}
}

func (g *GoHeaps) enable(w *watchedHeap, pid int) {
	restore, err := w.process.Enable(g.Enable)
	if err != nil {
		w.err = err
		g.notify("memory profiling was not turned on in process %d (%s): %v", pid, w.comm, errors.Unwrap(err))
		return
	}
	w.restores = append(w.restores, restore)
	g.notify("memory profiling turned on in process %d (%s), one sample per %d bytes, until the recording ends", pid, w.comm, g.Enable)
}

func (g *GoHeaps) notify(format string, args ...any) {
	if g.Notify != nil {
		g.Notify(fmt.Sprintf(format, args...))
	}
}

// Close undoes what Enable did, and closes the files. What could not be undone, in a process that lives, is the error.
func (g *GoHeaps) Close() error {
	var failed error
	for _, w := range g.watched {
		for _, restore := range slices.Backward(w.restores) {
			if err := restore(); err != nil && !errors.Is(err, goheap.ErrGone) {
				failed = errors.Join(failed, err)
			}
		}
		if w.process != nil {
			w.process.Close()
		}
	}
	for _, p := range g.programs {
		p.close()
	}
	g.watched, g.programs = nil, nil
	return failed
}

// Profile joins what the last looks found: what is in use now, or was when a process that has ended was looked at last,
// and what was allocated since each process began, as Go's own heap profile has it. Every process that has no profile is
// named with the reason, in comments and summary.
func (g *GoHeaps) Profile(at time.Time, defaultType string, comments ...string) (*pprof.Profile, HeapSummary) {
	s := g.summary(at)
	o := goheap.HeapOptions(s.rate, at)
	o.DefaultType = defaultType
	o.Comments = append(slices.Clone(comments), s.comments()...)
	b := profile.NewBuilder(o)
	for _, key := range g.sorted() {
		if w := g.watched[key]; w.heap != nil {
			w.heap.AddTo(b, w.named(), w.labels(key))
		}
	}
	return b.Profile(), s
}

// named is whose stacks those of the last reading are.
func (w *watchedHeap) named() goheap.Program {
	return goheap.Program{Namer: w.program, File: w.program.name}
}

func (w *watchedHeap) labels(key heapKey) profile.Labels {
	return profile.Labels{Comm: w.comm, PID: int64(key.pid), Service: w.identity.Service, Container: w.identity.Container}
}

func (g *GoHeaps) sorted() []heapKey {
	keys := make([]heapKey, 0, len(g.watched))
	for k, w := range g.watched {
		if !w.identity.Drop {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b heapKey) int {
		if a.pid != b.pid {
			return a.pid - b.pid
		}
		return int(int64(a.start) - int64(b.start))
	})
	return keys
}

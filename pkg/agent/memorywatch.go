package agent

import (
	"errors"
	"sync"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/goheap"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// MemoryWatchOptions say whose memory is read.
type MemoryWatchOptions struct {
	FS       proc.FS
	Targets  Targets
	Identify Identifier    // nil: IdentifyByProc
	Cache    *goheap.Cache // may be nil
	// Heaps says that the heaps of Go processes are read, but not that of process Except; 0: of all.
	Heaps  bool
	Except int
}

// A MemoryWatch reads once a window how much memory services have, and the heaps of Go processes: from outside, with
// nothing loaded. Read is called by one goroutine at a time; Forget and Readings may be called from any. Close it.
type MemoryWatch struct {
	o      MemoryWatchOptions
	census census
	heaps  GoHeaps
	notGo  map[proc.FileID]bool // programs, as far as they were looked at
	mark   heapMark             // of the last reading
	last   time.Time            // zero: none yet

	mu       sync.Mutex
	readings HeapReadings
}

// HeapReadings count readings of heaps: of each Go process that has a profile, one in each window is due.
type HeapReadings struct{ Done, Failed uint64 }

// A MemoryReading is what a window has found.
type MemoryReading struct {
	// Intervals are of the kinds HeapAlloc and HeapInUse, or nil: heaps are not read, or this is the first reading, which
	// has nothing to be compared with.
	Intervals []*profile.Interval
	Services  map[string]MemoryUse
}

// MemoryUse is the memory of a service at a moment, in bytes, summed over its processes.
type MemoryUse struct {
	Resident uint64
	// Heap is what is in use by Go's own profile, or by HotSpot's own counters, where these could be read now, else
	// anonymous memory in RAM.
	Heap uint64
}

// Kinds of a MemoryWatch's intervals, after their values: what Go programs allocated in a window, which adds up, and what
// they had in use at its end, which does not (profile.IsLevel).
const (
	HeapAlloc = "alloc_space"
	HeapInUse = "inuse_space"
)

// maxPrograms bounds what is remembered of programs.
const maxPrograms = 4096

// NewMemoryWatch returns one that has read nothing yet.
func NewMemoryWatch(o MemoryWatchOptions) *MemoryWatch {
	if o.Identify == nil {
		o.Identify = IdentifyByProc(o.FS)
	}
	m := &MemoryWatch{o: o, notGo: map[proc.FileID]bool{}}
	m.census = census{fs: o.FS, targets: o.Targets, identify: o.Identify}
	m.heaps = GoHeaps{FS: o.FS, Cache: o.Cache, Identify: func(pid int, start uint64) Identity {
		return m.census.members[heapKey{pid, start}].Identity
	}}
	return m
}

// Forget makes the next reading ask anew whose each process is: the rules have changed.
func (m *MemoryWatch) Forget() { m.census.renew.Store(true) }

// Readings is what was counted so far.
func (m *MemoryWatch) Readings() HeapReadings {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.readings
}

// Close releases what is held of processes.
func (m *MemoryWatch) Close() error { return m.heaps.Close() }

// Read reads everything now, at the end of a window that the last reading began.
func (m *MemoryWatch) Read(now time.Time) (MemoryReading, error) {
	members, err := m.census.take()
	if err != nil {
		return MemoryReading{}, err
	}
	var r MemoryReading
	if m.o.Heaps {
		m.look(members)
		w := newHeapWindow(m.last, now)
		if !m.last.IsZero() {
			w.fill(&m.heaps, m.mark)
			r.Intervals = w.intervals()
		}
		m.count()
		m.mark, m.last = m.heaps.mark(), now
		for key, p := range members {
			if p.Drop {
				m.mark[key] = markedHeap{} // should it be let in, it has a past
			}
		}
		for _, p := range m.heaps.programs {
			p.object.Release() // names of this window are kept
		}
	}
	r.Services = m.use(members)
	return r, nil
}

// look reads the Go processes, and finds out which those are.
func (m *MemoryWatch) look(members map[heapKey]member) {
	programs := map[int]proc.FileID{}
	var pids []int
	for key, p := range members {
		if p.Drop || key.pid == m.o.Except {
			continue
		}
		id, err := m.o.FS.ProgramID(key.pid)
		if err != nil || m.notGo[id] {
			continue
		}
		programs[key.pid] = id
		pids = append(pids, key.pid)
	}
	m.heaps.Look(pids)
	if len(m.notGo) > maxPrograms {
		clear(m.notGo)
	}
	for key, w := range m.heaps.watched {
		if errors.Is(w.err, goheap.ErrUnsupported) {
			m.notGo[programs[key.pid]] = true
		}
	}
	m.heaps.retain(func(key heapKey, w *watchedHeap) bool {
		p, lives := members[key]
		w.identity = p.Identity
		return lives && !p.Drop && !errors.Is(w.err, goheap.ErrUnsupported)
	})
}

// count counts the readings. A program whose profile is off, and a process that has ended meanwhile, has none that is due.
func (m *MemoryWatch) count() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range m.heaps.watched {
		switch {
		case w.err == nil:
			m.readings.Done++
		case w.failed():
			m.readings.Failed++
		}
	}
}

// failed tells whether a reading was due and failed.
func (w *watchedHeap) failed() bool {
	return w.err != nil && !errors.Is(w.err, goheap.ErrDisabled) && !errors.Is(w.err, goheap.ErrGone) &&
		!errors.Is(w.err, proc.ErrNoProcess)
}

// use sums up what services have.
func (m *MemoryWatch) use(members map[heapKey]member) map[string]MemoryUse {
	sums := map[string]MemoryUse{}
	for key, p := range members {
		if p.Drop {
			continue
		}
		sum := sums[p.Service]
		sum.Resident += p.Resident.Total
		sum.Heap += m.heapSize(key, p)
		sums[p.Service] = sum
	}
	return sums
}

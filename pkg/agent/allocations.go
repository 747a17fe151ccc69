package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebpfprof/ebpfprof/pkg/allocator"
	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/probesite"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// allocKind is the kind of the event alloc: a sample's weight is the bytes that it stands for, beside the allocations.
func allocKind(e loader.Event) Kind {
	return Kind{
		Event: e.Name, Type: profile.ValueType{Type: "alloc_space", Unit: "bytes"}, Period: int64(e.Period),
		PeriodType: profile.ValueType{Type: "space", Unit: "bytes"},
		Objects:    profile.ValueType{Type: "alloc_objects", Unit: "count"},
	}
}

// An AllocKernel puts probes on allocators: a *loader.Sampler.
type AllocKernel interface {
	ProbeAllocs(pid int, file string, probes []loader.AllocProbe) (io.Closer, error)
	AllocHits() (loader.AllocHits, error)
	CalibrateAllocs() (loader.HitCost, error)
}

// Allocations finds the allocators of processes and of their children, keeps probes on them as long as the budget allows,
// and tells which samples are an allocator's own calls. Nested may be called while Run runs; the rest belongs to one
// goroutine.
type Allocations struct {
	fs       proc.FS
	kernel   AllocKernel
	governor governor
	base     loader.AllocHits // before the first window

	mu        sync.Mutex // guards what follows
	libraries map[proc.FileID]*library
	byInode   map[inode]*library
	processes map[int]*allocProcess
	attached  bool
	nested    uint64
	failures  int
	failure   error // the first
}

// A library is an object file that was looked into.
type library struct {
	name   string
	inode  inode
	file   *os.File // nil: it allocates nothing
	probes []loader.AllocProbe
	found  allocator.Library
}

// An inode names a file as stat(2) does, which is not as mappings do on some file systems.
type inode struct{ dev, ino uint64 }

type allocProcess struct {
	startTicks uint64
	libraries  map[inode]*library
	probes     map[inode]io.Closer // while attached
}

// NewAllocations calibrates the cost of a probe, in some 0.2 s. budget is the share of one CPU that the hits may take, on
// average; 0: no limit.
func NewAllocations(fs proc.FS, k AllocKernel, budget float64) (*Allocations, error) {
	cost, err := k.CalibrateAllocs()
	if err != nil {
		return nil, err
	}
	base, err := k.AllocHits()
	if err != nil {
		return nil, err
	}
	return &Allocations{
		fs: fs, kernel: k, governor: governor{budget: budget, cost: cost}, base: base,
		libraries: map[proc.FileID]*library{}, byInode: map[inode]*library{}, processes: map[int]*allocProcess{},
	}, nil
}

// Start puts probes on the allocators of processes. started are those that have not run yet: their libraries are found
// before they are mapped.
//
// Errors: that no probe at all could be put.
func (a *Allocations) Start(pids []int, started ...int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.attached = true
	for _, pid := range append(pids, started...) {
		a.add(pid)
	}
	for _, pid := range started {
		for _, e := range a.fs.Needed(pid) {
			a.enter(pid, a.library(e))
		}
		for _, path := range a.fs.Preloads(pid) {
			a.enter(pid, a.open(path, func() (*os.File, error) { return os.Open(path) }))
		}
	}
	a.governor.begin(time.Now())
	if a.failure != nil && a.probed() == 0 {
		return a.failure
	}
	return nil
}

func (a *Allocations) probed() int {
	n := 0
	for _, p := range a.processes {
		n += len(p.probes)
	}
	return n
}

const (
	// governInterval is how often hits are read.
	governInterval = 20 * time.Millisecond
	// What new processes map is looked for often at first, and then so often that it costs them nothing.
	searchEarly, searchLate = 50 * time.Millisecond, time.Second
	earlyTime               = time.Second
)

// Run follows the processes and governs the probes until stopped is closed.
func (a *Allocations) Run(stopped <-chan struct{}) {
	tick := time.NewTicker(governInterval)
	defer tick.Stop()
	begin := time.Now()
	var searched time.Time
	for {
		select {
		case <-stopped:
			a.end()
			return
		case <-tick.C:
		}
		now := time.Now()
		every := searchLate
		if now.Sub(begin) < earlyTime {
			every = searchEarly
		}
		if now.Sub(searched) >= every {
			searched = now
			a.follow()
		}
		a.govern(now)
	}
}

// follow takes up children, and what processes have mapped since.
func (a *Allocations) follow() {
	a.mu.Lock()
	defer a.mu.Unlock()
	var alive []int
	for pid := range a.processes {
		if now, err := a.fs.Process(pid); err != nil || now.StartTicks != a.processes[pid].startTicks {
			a.release(a.processes[pid])
			delete(a.processes, pid)
			continue
		}
		alive = append(alive, pid)
	}
	if len(alive) == 0 {
		return
	}
	all, err := a.fs.Descendants(alive...)
	if err != nil {
		return // one of them has gone: the next time is soon
	}
	for _, pid := range all {
		a.add(pid)
	}
}

// maxAllocProcesses bounds the processes that are probed at once.
const maxAllocProcesses = 1024

// add looks at what a process runs code from. mu is held.
func (a *Allocations) add(pid int) {
	if a.processes[pid] == nil {
		now, err := a.fs.Process(pid)
		if err != nil || len(a.processes) >= maxAllocProcesses {
			return
		}
		a.processes[pid] = &allocProcess{startTicks: now.StartTicks, libraries: map[inode]*library{}, probes: map[inode]io.Closer{}}
	}
	files, err := a.fs.Executables(pid)
	if err != nil {
		return // gone: the next look drops it
	}
	for _, e := range files {
		a.enter(pid, a.library(e))
	}
}

// enter notes that a process uses a library, and probes it. mu is held.
func (a *Allocations) enter(pid int, l *library) {
	p := a.processes[pid]
	if l == nil || l.file == nil || p == nil || p.libraries[l.inode] != nil {
		return
	}
	p.libraries[l.inode] = l
	if a.attached {
		a.probe(pid, p, l)
	}
}

func (a *Allocations) probe(pid int, p *allocProcess, l *library) {
	c, err := a.kernel.ProbeAllocs(pid, fmt.Sprintf("/proc/self/fd/%d", l.file.Fd()), l.probes)
	switch {
	case err == nil:
		p.probes[l.inode] = c
	case errors.Is(err, os.ErrNotExist), errors.Is(err, loader.ErrStopped): // the process has gone; we go
	default:
		a.failures++
		if a.failure == nil {
			a.failure = fmt.Errorf("process %d, %s: %w", pid, l.name, err)
		}
	}
}

func (a *Allocations) release(p *allocProcess) {
	for at, c := range p.probes {
		c.Close()
		delete(p.probes, at)
	}
}

// maxAllocFiles bounds the files that are remembered: all that code runs from, most without an allocator.
const maxAllocFiles = 16 << 10

// library looks into a file once. mu is held.
func (a *Allocations) library(e proc.Executable) *library {
	l, known := a.libraries[e.ID]
	if known || len(a.libraries) >= maxAllocFiles {
		return l
	}
	l = a.open(e.Hint.Path, func() (*os.File, error) {
		f, _, err := a.fs.OpenObject(e.ID, e.Hint)
		return f, err
	})
	a.libraries[e.ID] = l
	return l
}

// open finds the allocator in a file. mu is held.
func (a *Allocations) open(name string, open func() (*os.File, error)) *library {
	f, err := open()
	if err != nil {
		return nil
	}
	var st unix.Stat_t
	if unix.Fstat(int(f.Fd()), &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		f.Close()
		return nil
	}
	l := &library{name: name, inode: inode{st.Dev, st.Ino}}
	if known := a.byInode[l.inode]; known != nil {
		f.Close()
		return known
	}
	a.byInode[l.inode] = l
	if l.found, err = allocator.Find(f, true); err == nil {
		l.probes = allocProbes(l.found)
	}
	if len(l.probes) == 0 {
		f.Close()
		return l
	}
	l.file = f
	return l
}

// allocProbes are the probes on what allocates.
func allocProbes(l allocator.Library) (probes []loader.AllocProbe) {
	for _, f := range l.Functions {
		if f.Size == allocator.NoSize {
			continue
		}
		probes = append(probes, loader.AllocProbe{
			Offset: f.Entry + uint64(f.Site.Offset), Size: allocSize(f.Size), NullElsewhere: f.NullElsewhere,
			Stepped: f.Site.Class == probesite.Stepped,
		})
	}
	return probes
}

func allocSize(s allocator.Size) loader.AllocSize {
	switch s {
	case allocator.Arg0:
		return loader.AllocArg0
	case allocator.Arg1:
		return loader.AllocArg1
	case allocator.Arg2:
		return loader.AllocArg2
	case allocator.Arg0Arg1:
		return loader.AllocArg0Arg1
	case allocator.Arg1Arg2:
		return loader.AllocArg1Arg2
	}
	return loader.AllocNone
}

// Nested reports whether a sample is of a call from within an allocator, such as that of malloc in musl's calloc: the
// outer call is sampled by itself. What is left out so is counted.
func (a *Allocations) Nested(s *loader.Sample) bool {
	if len(s.User) == 0 {
		return false
	}
	caller := s.User[0]
	for i := range s.VMAs {
		v := &s.VMAs[i]
		if caller < v.Start || caller >= v.End || v.Kind != loader.VMAFile {
			continue
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		l := a.libraries[proc.FileID(v.File)]
		if l == nil || l.file == nil || !l.found.Within(caller-v.Start+v.Offset) {
			return false
		}
		a.nested++
		return true
	}
	return false
}

// NestedSamples is how many samples Nested has left out.
func (a *Allocations) NestedSamples() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.nested
}

// Close lets go of the files. Run must have returned.
func (a *Allocations) Close() {
	for _, l := range a.byInode {
		if l.file != nil {
			l.file.Close()
			l.file = nil
		}
	}
}

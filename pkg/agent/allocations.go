package agent

import (
	"cmp"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
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

// An AllocKernel puts probes on allocators: a *loader.Sampler. Its methods are safe for concurrent use.
type AllocKernel interface {
	ProbeAllocs(pid int, file string, probes []loader.AllocProbe) (io.Closer, error)
	AllocHits(account int) (loader.AllocHits, error)
	CalibrateAllocs() (loader.HitCost, error)
}

// AllocOptions says whose allocations are sampled, and what that may cost. The zero value of a field is its default.
type AllocOptions struct {
	FS     proc.FS
	Kernel AllocKernel
	// Budget is the share of the CPU time of the targets that hits may take on average; 0: no limit.
	Budget float64
	// Processes lists the targets that live now; nil: those that Start was given, and what descends from them.
	Processes func() ([]int, error)
	// Identify tells whose a process is; nil: one account for all. Else each series has one, with a budget of its own, by the
	// CPU time of its processes. What rules drop is not probed.
	Identify Identifier
	// Wanted chooses services; nil: all.
	Wanted func(service string) bool
	// Accounts is how many there may be: loader.Options.AllocAccounts. Default: 1.
	Accounts int
	// Frees puts probes on what frees memory, too: for the event heap.
	Frees bool
	// Keep is how far back Coverage is asked for; 0: never.
	Keep time.Duration
}

// Allocations finds the allocators of processes, keeps probes on them as long as the budget allows, and tells which
// samples are an allocator's own calls. Nested, Comments and Stats may be called from any goroutine; the rest belongs to
// one.
type Allocations struct {
	options   AllocOptions
	cost      loader.HitCost
	byInode   map[inode]*library
	processes map[int]*allocProcess
	begun     time.Time
	closing   sync.WaitGroup // of probes of processes that have gone

	mu        sync.Mutex // guards what follows
	accounts  []*allocAccount
	departed  map[string]profile.Coverage // by service, of accounts that were given to others
	libraries map[proc.FileID]*library
	nested    uint64
	failures  int
	failure   error // the first
	stats     AllocStats
}

// AllocStats counts processes that live, as of the last look.
type AllocStats struct {
	Probed      int // of these, probes are in place when their account allows
	NoAllocator int // none is known in what they run
	NoRoom      int // beyond the bounds of processes and accounts
	Failures    int // probes that could not be put, so far
}

type allocProcess struct {
	startTicks uint64
	account    *allocAccount // nil: not to be probed, or
	homeless   bool          // there was no room for another
	libraries  map[inode]*library
	probes     map[inode]io.Closer // while attached
	cpu        time.Duration       // that it had used when it was looked at
	looks      int
	next       time.Time // when it is looked at again
}

// NewAllocations calibrates the cost of a probe, in some 0.2 s.
func NewAllocations(o AllocOptions) (*Allocations, error) {
	cost, err := o.Kernel.CalibrateAllocs()
	if err != nil {
		return nil, err
	}
	o.Accounts = max(o.Accounts, 1)
	return &Allocations{
		options: o, cost: cost,
		libraries: map[proc.FileID]*library{}, byInode: map[inode]*library{}, processes: map[int]*allocProcess{},
		departed: map[string]profile.Coverage{},
	}, nil
}

// HitCost is what a hit was calibrated to cost.
func (a *Allocations) HitCost() loader.HitCost { return a.cost }

// Start puts probes on the allocators of processes. started are those that have not run yet: their libraries are found
// before they are mapped.
//
// Errors: that no probe at all could be put.
func (a *Allocations) Start(pids []int, started ...int) error {
	now := time.Now()
	a.begun = now
	for _, pid := range append(slices.Clone(pids), started...) {
		a.add(pid, now)
	}
	for _, pid := range started {
		p := a.processes[pid]
		if p == nil {
			continue
		}
		for _, e := range a.options.FS.Needed(pid) {
			p.enter(a.library(e))
		}
		for _, path := range a.options.FS.Preloads(pid) {
			p.enter(a.open(path, func() (*os.File, error) { return os.Open(path) }))
		}
	}
	probed := 0
	for _, c := range a.accounts {
		c.attach(a)
		<-c.changing
		c.settle(a, time.Now())
	}
	for _, p := range a.processes {
		probed += len(p.probes)
	}
	if probed == 0 {
		return a.failure
	}
	return nil
}

const (
	// governInterval is how often the hits of busy accounts are read, calmInterval those of others.
	governInterval, calmInterval = 20 * time.Millisecond, 200 * time.Millisecond
	// What new processes map is looked for often at first, and then so often that it costs them nothing.
	searchEarly, searchLate = 50 * time.Millisecond, time.Second
	earlyTime               = time.Second
	// relookTime is when a process is looked at again that was seen twice: it may have loaded a library.
	relookTime = 30 * time.Second
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
		if now.Sub(begin) < earlyTime && a.options.Processes == nil {
			every = searchEarly
		}
		if now.Sub(searched) >= every {
			searched = now
			a.follow(now)
		}
		for _, c := range a.accounts {
			c.govern(a, now)
		}
	}
}

// follow takes up new processes, and what those known have mapped since, and lets go of those that ended.
func (a *Allocations) follow(now time.Time) {
	all, err := a.list()
	if err != nil {
		return // the next time is soon
	}
	for pid, p := range a.processes {
		if _, lives := slices.BinarySearch(all, pid); !lives {
			a.drop(pid, p)
		}
	}
	stats := AllocStats{}
	for _, pid := range all {
		a.add(pid, now)
		if a.processes[pid] == nil {
			stats.NoRoom++
		}
	}
	for _, p := range a.processes {
		switch {
		case p.account == nil && p.homeless:
			stats.NoRoom++
		case p.account == nil:
		case len(p.libraries) > 0:
			stats.Probed++
		default:
			stats.NoAllocator++
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stats = stats
}

// list returns the processes that are to be probed, sorted.
func (a *Allocations) list() ([]int, error) {
	if a.options.Processes != nil {
		return a.options.Processes()
	}
	var alive []int
	for pid, p := range a.processes {
		if now, err := a.options.FS.Process(pid); err == nil && now.StartTicks == p.startTicks {
			alive = append(alive, pid)
		}
	}
	if len(alive) == 0 {
		return nil, nil
	}
	return a.options.FS.Descendants(alive...)
}

// maxAllocProcesses bounds the processes that are looked at.
const maxAllocProcesses = 1024

// add looks at what a process runs code from, if it is new or due.
func (a *Allocations) add(pid int, now time.Time) {
	p := a.processes[pid]
	if p != nil && now.Before(p.next) || p == nil && len(a.processes) >= maxAllocProcesses {
		return
	}
	info, err := a.options.FS.Process(pid)
	if err != nil {
		return // gone: the next look drops it
	}
	if p != nil && (p.startTicks != info.StartTicks || a.moved(pid, p, info)) {
		a.drop(pid, p)
		p = nil
	}
	if p == nil {
		p = a.newProcess(pid, info, now)
		a.processes[pid] = p
	}
	if p.looks++; a.options.Processes != nil {
		p.next = now.Add(searchLate)
		if p.looks > 1 {
			p.next = now.Add(relookTime)
		}
	}
	if p.account == nil {
		return
	}
	files, err := a.options.FS.Executables(pid)
	if err != nil {
		return // gone
	}
	for _, e := range files {
		p.enter(a.library(e))
	}
}

func (a *Allocations) newProcess(pid int, info proc.Process, now time.Time) *allocProcess {
	p := &allocProcess{startTicks: info.StartTicks, libraries: map[inode]*library{}, probes: map[inode]io.Closer{}}
	s, ok := a.owner(pid, info)
	if !ok {
		return p
	}
	if p.account = a.account(s, now); p.account == nil {
		p.homeless = true
		return p
	}
	p.account.processes[pid] = p
	p.cpu, _ = proc.CPUTime(pid) // 0 of one that has gone
	return p
}

// owner is whose a process is; ok is false if it is not to be probed.
func (a *Allocations) owner(pid int, info proc.Process) (s series, ok bool) {
	switch {
	case info.KernelThread:
		return s, false
	case a.options.Identify == nil:
		return s, true
	}
	who := a.options.Identify(pid, info.StartTicks)
	if !who.OK || who.Drop || a.options.Wanted != nil && !a.options.Wanted(who.Service) {
		return s, false
	}
	return series{service: who.Service, labels: who.Labels, key: seriesKey(who.Service, who.Labels)}, true
}

// moved reports whether a process belongs to another account than when it was first seen: it may have been its parent's
// copy then, before an exec.
func (a *Allocations) moved(pid int, p *allocProcess, info proc.Process) bool {
	if a.options.Identify == nil || p.looks != 1 || p.homeless {
		return false
	}
	s, ok := a.owner(pid, info)
	return ok != (p.account != nil) || ok && s.key != p.account.series.key
}

// enter notes that a process uses a library; its account puts the probes.
func (p *allocProcess) enter(l *library) {
	if l == nil || l.file == nil || p.account == nil || p.libraries[l.inode] != nil {
		return
	}
	p.libraries[l.inode] = l
	p.account.behind = true
}

// drop forgets a process. Its probes go in their own time.
func (a *Allocations) drop(pid int, p *allocProcess) {
	delete(a.processes, pid)
	if p.account != nil {
		delete(p.account.processes, pid)
	}
	for _, c := range p.probes {
		a.closing.Go(func() { c.Close() })
	}
	p.probes = nil
}

// account returns that of a series, or nil if there is no room for another.
func (a *Allocations) account(s series, now time.Time) *allocAccount {
	for _, c := range a.accounts {
		if c.series.key == s.key {
			return c
		}
	}
	number := len(a.accounts)
	if number >= a.options.Accounts {
		number = slices.IndexFunc(a.accounts, (*allocAccount).idle)
		if number < 0 {
			return nil
		}
	}
	c := newAllocAccount(a, number, s, now)
	a.mu.Lock()
	defer a.mu.Unlock()
	if number == len(a.accounts) {
		a.accounts = append(a.accounts, c)
		return c
	}
	old := a.accounts[number]
	a.departed[old.series.service] = a.departed[old.series.service].Add(old.news())
	a.accounts[number] = c
	return c
}

// Stats counts the processes that are looked at.
func (a *Allocations) Stats() AllocStats {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.stats
	s.Failures = a.failures
	return s
}

// fail notes that a probe could not be put.
func (a *Allocations) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failures++
	a.failure = cmp.Or(a.failure, err)
}

// end takes all probes away.
func (a *Allocations) end() {
	for _, c := range a.accounts {
		if c.attached && c.changing == nil {
			c.detach() // all at once
		}
	}
	for _, c := range a.accounts {
		c.finish(a)
	}
	a.closing.Wait()
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

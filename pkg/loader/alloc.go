package loader

import (
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sync/errgroup"
)

// LostBusy is the reason of samples of the event alloc that came while another thread was walked on that CPU, on kernels
// where the scheduler cannot be kept off (before 6.10).
const LostBusy = "busy"

// An AllocSize says how the arguments of an allocator's function make the bytes that are asked for.
type AllocSize uint8

// Sizes.
const (
	AllocNone     = AllocSize(bpfProfAllocRolePROF_ALLOC_NONE)
	AllocArg0     = AllocSize(bpfProfAllocRolePROF_ALLOC_ARG0)
	AllocArg1     = AllocSize(bpfProfAllocRolePROF_ALLOC_ARG1)
	AllocArg2     = AllocSize(bpfProfAllocRolePROF_ALLOC_ARG2)
	AllocArg0Arg1 = AllocSize(bpfProfAllocRolePROF_ALLOC_ARG0ARG1) // their product
	AllocArg1Arg2 = AllocSize(bpfProfAllocRolePROF_ALLOC_ARG1ARG2)
)

// An AllocProbe is where a function of an allocator is probed, and what its arguments mean there.
type AllocProbe struct {
	Offset        uint64 // in the file, of the instruction
	Size          AllocSize
	NullElsewhere bool // calls whose first argument is 0 are counted in another function
	Stepped       bool // the kernel does not emulate the instruction
	Account       int  // that hits are counted in: below Options.AllocAccounts
	Frees         bool // the event heap only: what its first argument points to is freed
}

func (p AllocProbe) cookie() uint64 {
	c := uint64(p.Size) | uint64(p.Account)<<bpfProfAllocRolePROF_ALLOC_ACCOUNT
	if p.NullElsewhere {
		c |= uint64(bpfProfAllocRolePROF_ALLOC_NULL_ELSEWHERE)
	}
	if p.Stepped {
		c |= uint64(bpfProfAllocRolePROF_ALLOC_STEPPED)
	}
	if p.Frees {
		c |= uint64(bpfProfAllocRolePROF_ALLOC_FREES)
	}
	return c
}

// allocPlan is what this kernel has for the event alloc.
type allocPlan struct {
	event   int // its number; -1: off
	context int // of the walker
	multi   bool
	alone   bool
	heap    bool // it is the event heap
}

func planAlloc(o Options) (allocPlan, error) {
	event, err := o.allocEvent()
	p := allocPlan{event: event}
	if err != nil || event < 0 {
		return p, err
	}
	p.context = o.OffCPU.contexts()
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		return p, fmt.Errorf("%w: read the kernel's types: %w", ErrKernel, err)
	}
	if !hasHelper(spec, "BPF_FUNC_get_attach_cookie") {
		return p, fmt.Errorf("%w: event alloc: probes have no cookies (since 5.15)", ErrKernel)
	}
	p.alone = keepsAlone(spec)
	if p.heap = o.Events[event].IsHeap(); p.heap {
		return p, canSeeFrees(spec, p)
	}
	p.multi = multiSeesThreads() == nil
	return p, nil
}

// configureAlloc leaves the programs and the memory that the event alloc needs.
func configureAlloc(spec *ebpf.CollectionSpec, o Options, p allocPlan) error {
	configureHeap(spec, p)
	chooseSampled(spec, p)
	if p.event < 0 || !p.multi {
		delete(spec.Programs, bpfProgAllocMulti)
	}
	if p.event < 0 || p.multi || p.heap {
		delete(spec.Programs, bpfProgAllocProbe)
	}
	if p.event < 0 {
		delete(spec.Maps, bpfMapAllocs)
		return nil
	}
	spec.Maps[bpfMapAllocs].MaxEntries = uint32(o.allocAccounts())
	return spec.Variables[bpfVarAllocQuantiles].Set(gapQuantiles(time.Duration(o.Events[p.event].Period)))
}

// alloc is the running side of the event alloc.
type alloc struct {
	event    int
	mean     float64
	multi    bool
	program  *ebpf.Program
	sampled  *ebpf.Program // for what processes sample themselves
	hits     *ebpf.Map
	accounts int
	heap     *heap   // nil: the event is alloc
	carried  float64 // what rounding left of earlier weights; of the goroutine of Run

	mu     sync.Mutex // guards links
	links  map[*allocLink]bool
	closed bool
}

func newAlloc(coll *ebpf.Collection, o Options, p allocPlan) *alloc {
	a := &alloc{
		event: p.event, mean: float64(o.Events[p.event].Period), multi: p.multi, hits: coll.Maps[bpfMapAllocs],
		program: coll.Programs[bpfProgAllocProbe], sampled: sampledProgram(coll, p), links: map[*allocLink]bool{}, accounts: o.allocAccounts(),
	}
	if p.multi {
		a.program = coll.Programs[bpfProgAllocMulti]
	}
	if p.heap {
		a.heap = newHeap(coll)
		a.program = a.heap.program
	}
	return a
}

// weigh replaces the size of an allocation by what it stands for: so many bytes, in so many allocations.
func (a *alloc) weigh(s *Sample) {
	if weighed(s) {
		return
	}
	size := float64(s.Weight)
	s.Objects = 1 / -math.Expm1(-size/a.mean)
	exact := size*s.Objects + a.carried
	whole := math.Floor(exact)
	a.carried = exact - whole
	s.Weight = uint64(whole)
}

// An allocLink is the probes of one file in one process.
type allocLink struct {
	owner *alloc
	links []io.Closer
	once  sync.Once
}

// Close takes the probes away: when it returns, no thread runs their program. It may take some 40 ms.
func (l *allocLink) Close() error {
	l.once.Do(func() {
		l.owner.mu.Lock()
		delete(l.owner.links, l)
		l.owner.mu.Unlock()
		for _, k := range l.links {
			k.Close()
		}
	})
	return nil
}

// ErrStopped means that the sampler was stopped before.
var ErrStopped = errors.New("sampler is stopped")

// ProbeAllocs puts probes on functions of a file, for one process: others that map it do not run into them, unless pid is 0,
// which is all. The file need
// not be mapped yet. Stop takes all probes away; who wants that earlier closes the result.
//
// Errors: wraps os.ErrNotExist when the process has gone, ErrStopped, and ErrKernel for what the kernel refuses.
func (s *Sampler) ProbeAllocs(pid int, file string, probes []AllocProbe) (io.Closer, error) {
	a := s.alloc
	if a == nil {
		return nil, errors.New("probe allocations: no event alloc")
	}
	if i := slices.IndexFunc(probes, func(p AllocProbe) bool { return p.Account < 0 || p.Account >= a.accounts }); i >= 0 {
		return nil, fmt.Errorf("probe allocations: account %d: there are %d", probes[i].Account, a.accounts)
	}
	l := &allocLink{owner: a}
	exe, err := link.OpenExecutable(file)
	if err != nil {
		return nil, fmt.Errorf("probe allocations in %s: %w", file, err)
	}
	if a.heap != nil {
		k, err := a.heap.probe(pid, file, probes)
		if err != nil {
			return nil, err
		}
		l.links = append(l.links, k)
	} else if a.multi {
		var at, cookies []uint64
		for _, p := range probes {
			at, cookies = append(at, p.Offset), append(cookies, p.cookie())
		}
		k, err := exe.UprobeMulti(nil, a.program, &link.UprobeMultiOptions{Addresses: at, Cookies: cookies, PID: uint32(pid)})
		if err != nil {
			return nil, fmt.Errorf("%w: probe allocations in %s: %w", ErrKernel, file, err)
		}
		l.links = append(l.links, k)
	} else {
		for _, p := range probes {
			k, err := exe.Uprobe("", a.program, &link.UprobeOptions{Address: p.Offset, Cookie: p.cookie(), PID: pid})
			if err != nil {
				l.Close()
				return nil, fmt.Errorf("%w: probe allocations in %s: %w", ErrKernel, file, err)
			}
			l.links = append(l.links, k)
		}
	}
	a.mu.Lock()
	closed := a.closed
	if !closed {
		a.links[l] = true
	}
	a.mu.Unlock()
	if closed {
		l.Close()
		return nil, fmt.Errorf("probe allocations in %s: %w", file, ErrStopped)
	}
	return l, nil
}

// stop takes all probes away.
func (a *alloc) stop() {
	a.mu.Lock()
	a.closed = true
	var links []*allocLink
	for l := range a.links {
		links = append(links, l)
	}
	a.mu.Unlock()
	// Each waits for some 40 ms.
	var closing errgroup.Group
	closing.SetLimit(stopAtOnce)
	for _, l := range links {
		closing.Go(l.Close)
	}
	_ = closing.Wait() // they return nil
}

const stopAtOnce = 64

// AllocHits is how often probes of the event alloc were hit: on instructions that the kernel emulates, and on others.
type AllocHits struct {
	Emulated, Stepped uint64
	Walks             time.Duration // that samples took
}

// Since is what was added to older ones.
func (h AllocHits) Since(older AllocHits) AllocHits {
	return AllocHits{h.Emulated - older.Emulated, h.Stepped - older.Stepped, h.Walks - older.Walks}
}

// Total is all of them.
func (h AllocHits) Total() uint64 { return h.Emulated + h.Stepped }

// AllocHits sums those of an account over all CPUs. Where threads are preempted within a probe, a few may be missing.
func (s *Sampler) AllocHits(account int) (AllocHits, error) {
	var h AllocHits
	var perCPU []bpfProfAlloc
	if err := s.alloc.hits.Lookup(uint32(account), &perCPU); err != nil {
		return h, fmt.Errorf("read hits of probes: %w", err)
	}
	for i := range perCPU {
		h.Emulated += perCPU[i].Hits
		h.Stepped += perCPU[i].Stepped
		h.Walks += time.Duration(perCPU[i].WalkedNs)
	}
	return h, nil
}

// A HitCost is what one hit of a probe takes from the thread that runs into it, here and now.
type HitCost struct{ Emulated, Stepped time.Duration }

const (
	calibrationRounds = 5
	calibrationHits   = 2000
)

// CalibrateAllocs measures the cost of a hit on functions of this program, with the very program that samples. It takes
// about 0.2 s; what it hits is in account 0.
func (s *Sampler) CalibrateAllocs() (HitCost, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var c HitCost
	emulated, stepped := trapAddresses()
	for _, f := range []struct {
		call func()
		at   uintptr
		into *time.Duration
	}{{emulatedHit, emulated, &c.Emulated}, {steppedHit, stepped, &c.Stepped}} {
		bare := fastest(f.call)
		probed, err := s.probeOwn(f.at)
		if err != nil {
			return c, fmt.Errorf("calibrate probes: %w", err)
		}
		*f.into = max(fastest(f.call)-bare, 1)
		probed.Close()
	}
	return c, nil
}

func (s *Sampler) probeOwn(addr uintptr) (io.Closer, error) {
	pid, at, err := ownFunction(addr)
	if err != nil {
		return nil, err
	}
	return s.ProbeAllocs(pid, ownFile, []AllocProbe{{Offset: at, Size: AllocNone}})
}

// fastest is the time of a call in the fastest round: what else the machine does only makes others slower.
func fastest(call func()) time.Duration {
	best := time.Duration(math.MaxInt64)
	for range calibrationRounds {
		begin := time.Now()
		for range calibrationHits {
			call()
		}
		best = min(best, time.Since(begin)/calibrationHits)
	}
	return best
}

// String is for people.
func (c HitCost) String() string {
	return strings.Join([]string{c.Emulated.String(), "emulated,", c.Stepped.String(), "single-stepped"}, " ")
}

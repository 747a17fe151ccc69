package loader

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
)

// OffCPU says how to account and sample the time in which threads of targets do not run. Kernel threads are left out.
// The zero value: as the event off-cpu of Options.Events says, or not at all.
type OffCPU struct {
	On bool // adds the event after the others, if it is not among them
	// Mean is the waiting time for which one stack is sampled, on average: 100 ms. A wait of d is sampled with the
	// probability 1 - exp(-d/Mean).
	Mean time.Duration
	// Visit is how often waits that go on are sampled: 1 s. Visits come shortly before multiples of it by the wall's clock:
	// a window that ends there, and is a multiple of it, has all of such a wait.
	Visit time.Duration
	// Early makes stacks be walked when waits begin, as on kernels before 6.18, although they could be deferred.
	Early bool
	// Hashed keeps threads in a hash map, as on kernels before 6.2.
	Hashed bool
	// Wakers also takes the stack of who ends each wait that is sampled: Sample.Waker.
	Wakers bool
	// Visited is told the totals of each visit and each reading, one after the other; nil: nobody. They are not to be
	// changed, and the Sampler is not to be called from there.
	Visited func(*OffCPUTotals)
	event   int // its number
}

// DefaultOffCPUVisit is OffCPU.Visit's default.
const DefaultOffCPUVisit = time.Second

// DefaultOffCPUMean is OffCPU.Mean's default.
const DefaultOffCPUMean = 100 * time.Millisecond

const (
	offCPUContexts = 3 // up to CONTEXT_VISIT of maps.h, and CONTEXT_WAKE comes next; what comes after is the event alloc's
	spacesEach     = 8 // PROF_SPACES
	deepsEach      = 4 // PROF_DEEPS
	maxProcesses   = 4096
	maxWorks       = 1024
	maxHashed      = 32768 // threads at once where task storage does not serve
	gapSteps       = 1024  // GAP_STEPS
	beginReadAt    = "read_asleep"
)

// offCPUPlan is what this kernel has for a run.
type offCPUPlan struct {
	storage, deferred, stateArg, asleep bool
}

// planOffCPU asks the kernel's types. Task storage is there since 5.11, but until 6.2 a look-up fails on a CPU that is at
// another entry (4279adb094a1), and a switch that finds no entry would leave its thread in the state before. bpf_task_from_pid
// is of 6.2, too.
func planOffCPU(o OffCPU) (offCPUPlan, error) {
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		return offCPUPlan{}, fmt.Errorf("%w: read the kernel's types: %w", ErrKernel, err)
	}
	has := func(name string) bool {
		var f *btf.Func
		return spec.TypeByName(name, &f) == nil
	}
	p := offCPUPlan{
		storage:  has("bpf_task_from_pid") && !o.Hashed,
		asleep:   has("bpf_task_from_pid") && hasHelper(spec, "BPF_FUNC_copy_from_user_task"),
		stateArg: switchTellsState(spec),
	}
	p.deferred = p.storage && !o.Early && defersWork(spec) && has("bpf_preempt_disable")
	return p, nil
}

func hasHelper(spec *btf.Spec, name string) bool {
	var e *btf.Enum
	if spec.TypeByName("bpf_func_id", &e) != nil {
		return false
	}
	for _, v := range e.Values {
		if v.Name == name {
			return true
		}
	}
	return false
}

// defersWork reports whether the kernel has task work as bpf/offcpu.h declares it. On 7.3 the last argument is another
// one, and then stacks are walked early.
func defersWork(spec *btf.Spec) bool {
	var f *btf.Func
	if spec.TypeByName("bpf_task_work_schedule_resume_impl", &f) != nil {
		return false
	}
	proto, ok := f.Type.(*btf.FuncProto)
	if !ok || len(proto.Params) != 5 {
		return false
	}
	last, ok := proto.Params[4].Type.(*btf.Pointer)
	if !ok {
		return false
	}
	_, ok = last.Target.(*btf.Void)
	return ok
}

// switchTellsState reports whether the tracepoint has the argument prev_state, since 5.18 (fa2c3254d7cf).
func switchTellsState(spec *btf.Spec) bool {
	var t *btf.Typedef
	if spec.TypeByName("btf_trace_sched_switch", &t) != nil {
		return false
	}
	p, ok := t.Type.(*btf.Pointer)
	if !ok {
		return false
	}
	f, ok := p.Target.(*btf.FuncProto)
	return ok && len(f.Params) == 5 // with the tracepoint's own data
}

// contexts is how many contexts walk stacks, that of perf events included.
func (o OffCPU) contexts() int {
	switch {
	case !o.On:
		return 1
	case o.Wakers:
		return offCPUContexts + 1
	}
	return offCPUContexts
}

// wakers is what is done when threads are woken.
func (o OffCPU) wakers(p offCPUPlan) uint32 {
	switch {
	case !o.Wakers:
		return uint32(bpfProfWakersPROF_WAKERS_NONE)
	case p.deferred:
		return uint32(bpfProfWakersPROF_WAKERS_CHOOSE)
	}
	return uint32(bpfProfWakersPROF_WAKERS_FOLLOW)
}

// withoutOffCPU takes the programs and maps of the event off-cpu out of an object.
func withoutOffCPU(spec *ebpf.CollectionSpec) {
	for _, name := range []string{bpfProgOffcpuDefer, bpfProgOffcpuSwitch, bpfProgOffcpuFork, bpfProgOffcpuVisit, bpfProgOffcpuWake} {
		delete(spec.Programs, name)
	}
	for _, name := range []string{bpfMapThreads, bpfMapThreadHash, bpfMapZeroThreads, bpfMapProcesses, bpfMapGaps, bpfMapWorks} {
		delete(spec.Maps, name)
	}
}

// configureOffCPU fits the programs of the event off-cpu to what the kernel has.
func configureOffCPU(spec *ebpf.CollectionSpec, o OffCPU, p offCPUPlan) error {
	if !o.On {
		withoutOffCPU(spec)
		return nil
	}
	spec.Maps[bpfMapProcesses].MaxEntries = maxProcesses
	if !p.storage {
		spec.Maps[bpfMapThreadHash].MaxEntries = maxHashed
		threads := spec.Maps[bpfMapThreads]
		threads.Type, threads.Flags, threads.MaxEntries = ebpf.Hash, 0, 1
	}
	if p.deferred {
		delete(spec.Programs, bpfProgOffcpuSwitch)
		spec.Maps[bpfMapWorks].MaxEntries = maxWorks
	} else {
		delete(spec.Programs, bpfProgOffcpuDefer)
		delete(spec.Maps, bpfMapWorks)
	}
	if !o.Wakers {
		delete(spec.Programs, bpfProgOffcpuWake)
	}
	visit := spec.Programs[bpfProgOffcpuVisit]
	if p.asleep {
		if err := readsAsleep(visit); err != nil {
			return err
		}
	} else {
		visit.Flags &^= 1 << 4 // BPF_F_SLEEPABLE: an iterator may sleep since 5.18 only
	}
	return spec.Variables[bpfVarGapQuantiles].Set(gapQuantiles(o.Mean))
}

// readsAsleep makes a program read the memory of the sleeping thread where it would read the current one's.
func readsAsleep(p *ebpf.ProgramSpec) error {
	replaced := 0
	for i, ins := range p.Instructions {
		if ins.IsBuiltinCall() && asm.BuiltinFunc(ins.Constant) == asm.FnProbeReadUser {
			call := asm.Instruction{OpCode: ins.OpCode, Src: asm.PseudoCall, Constant: -1}
			p.Instructions[i] = call.WithMetadata(ins.Metadata).WithReference(beginReadAt)
			replaced++
		}
	}
	if replaced == 0 {
		return fmt.Errorf("program %s reads no user memory", p.Name)
	}
	return nil
}

// gapQuantiles are those of an exponential distribution with that mean, in ns.
func gapQuantiles(mean time.Duration) []uint64 {
	q := make([]uint64, gapSteps+1)
	for i := range gapSteps {
		q[i] = uint64(math.Round(-math.Log1p(-float64(i)/gapSteps) * float64(mean)))
	}
	q[gapSteps] = q[gapSteps-1]
	return q
}

// offCPU is the running side of the event off-cpu.
type offCPU struct {
	options OffCPU
	event   int
	plan    offCPUPlan
	coll    *ebpf.Collection
	begun   begun
	wakers  wakers
	waits   waits
	decide  func(comm [16]uint8) bool

	mu    sync.Mutex // one visit at a time: the program has one memory
	hooks []closer
	iter  *link.Iter
	gone  map[bpfProfProcessKey]bool // not alive when last visited
	last  OffCPUTotals

	ended atomic.Bool // written under mu
}

// start attaches the programs. Threads are taken up last: attaching can take a tenth of a second on a busy machine, and a
// switch that is not seen meanwhile would leave its thread in the state that it was taken up in.
func (o *offCPU) start() error {
	for _, name := range []string{bpfProgOffcpuFork, bpfProgOffcpuDefer, bpfProgOffcpuSwitch, bpfProgOffcpuWake} {
		p := o.coll.Programs[name]
		if p == nil {
			continue
		}
		l, err := link.AttachTracing(link.TracingOptions{Program: p})
		if err != nil {
			return fmt.Errorf("%w: attach %s: %w", ErrKernel, name, err)
		}
		o.hooks = append(o.hooks, l)
	}
	return o.takeUp()
}

// visits samples waits that go on, until stopped.
func (o *offCPU) visits(stopped <-chan struct{}) {
	for {
		t := time.NewTimer(untilVisit(time.Now(), o.options.Visit))
		select {
		case <-stopped:
			t.Stop()
			return
		case <-t.C:
			_, _ = o.visit(true) // who wants the totals is told of the error
		}
	}
}

// untilVisit is the time to the next visit: shortly before a multiple of every by the wall's clock, where windows end, so
// that a window has what was waited in it. The first may come early or late by half of every.
func untilVisit(now time.Time, every time.Duration) time.Duration {
	lead := every / 20
	wait := now.Add(lead).Truncate(every).Add(every - lead).Sub(now)
	if wait < every/2 {
		wait += every
	}
	return wait
}

func (o *offCPU) takeUp() error {
	it, err := link.AttachIter(link.IterOptions{Program: o.coll.Programs[bpfProgOffcpuVisit]})
	if err != nil {
		return fmt.Errorf("%w: attach %s: %w", ErrKernel, bpfProgOffcpuVisit, err)
	}
	o.iter = it
	_, err = o.visit(false)
	return err
}

// stop samples what still waits, reads the totals a last time and detaches the programs.
func (o *offCPU) stop() {
	if o.iter != nil {
		_, _ = o.visit(true) // an iterator that cannot be read has failed before
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended.Store(true)
	for _, h := range o.hooks {
		h.Close()
	}
	o.hooks = nil
	if o.iter != nil {
		o.iter.Close()
		o.iter = nil
	}
}

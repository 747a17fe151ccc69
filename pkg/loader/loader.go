// Package loader loads the BPF programs, attaches them to events and reads what they
// send. It is the only package that knows the kernel's BPF interface.
//
// A Sampler is made by Open (programs are loaded and verified), started by Start
// (events begin to fire), read by Run, and ended by Stop and Close.
package loader

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/cilium/ebpf/rlimit"
)

// Options says what to sample. The zero value of a field is its default.
type Options struct {
	// Events are numbered in this order, from 0; at least one, with OffCPU none will do, and at most 16.
	Events []Event
	OffCPU OffCPU
	Filter Filter
	// Namespace is the inode of the profiler's PID namespace, /proc/self/ns/pid. 0 is the initial one.
	Namespace uint64
	// AllocAccounts is in how many accounts hits of the event alloc are counted apart; 0 is 1.
	AllocAccounts int
	// RingBytes is the size of the ring, a power of two of at least a page. 0: see ringBytes.
	RingBytes int
}

// initPIDNamespace is the inode of the initial PID namespace (include/linux/proc_ns.h).
const initPIDNamespace = 0xEFFFFFFC

// ErrKernel wraps the errors that mean "this kernel, or these privileges, cannot do it".
var ErrKernel = errors.New("kernel or privilege missing")

// A Sampler owns the programs, maps and events of one run.
type Sampler struct {
	filter   Filter
	inner    bool // our PID namespace is not the initial one
	coll     *ebpf.Collection
	reader   *ringbuf.Reader
	hooks    []closer
	events   []*cpuEvents
	tables   tables
	rejected [maxEvents]atomic.Uint64 // by event: undecided samples that were no target's
	missed   [maxEvents]atomic.Uint64 // by event: the most that Counters told of
	scalings [maxEvents]scaling       // of the goroutine of Run
	offcpu   *offCPU                  // nil: off
	alloc    *alloc                   // nil: off
	unpaired atomic.Uint64            // off-cpu samples whose stack had no room in memory
	filters  atomic.Uint32            // changes of targets
	stopped  chan struct{}
	stopOnce sync.Once
}

type closer interface{ Close() error }

const (
	drainInterval = 250 * time.Millisecond
	minRing       = 256 << 10
	maxRing       = 8 << 20
	// A record of a 30-frame stack is some 500 bytes; take twice that.
	usualRecord = 1 << 10

	offCPURing = 1 << 20
)

// ringBytes is what one second of samples of all CPUs needs at most in the usual case, four times what
// gathers between two wake-ups of the reader.
func ringBytes(events []Event, cpus int) int {
	var rate uint64
	for _, e := range events {
		if e.Frequency == 0 {
			rate += 1000
		}
		rate += e.Frequency
	}
	want := uint64(max(minRing, min(maxRing, int(rate)*cpus*usualRecord)))
	return 1 << bits.Len64(want-1)
}

// Open loads the programs that o needs. Nothing fires before Start.
//
// Errors: wraps ErrKernel when the kernel or the privileges do not suffice.
func Open(o Options) (*Sampler, error) {
	if err := o.enterOffCPU(); err != nil {
		return nil, err
	}
	if n := len(o.Events); n == 0 || n > maxEvents {
		return nil, fmt.Errorf("%d events: want 1 to %d", n, maxEvents)
	}
	for _, e := range o.Events {
		if err := e.validate(); err != nil {
			return nil, err
		}
	}
	if err := rlimit.RemoveMemlock(); err != nil && !errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("lift memlock limit: %w", err)
	}
	if o.RingBytes == 0 {
		o.RingBytes = ringBytes(o.Events, runtime.NumCPU())
		if o.OffCPU.On {
			o.RingBytes = max(o.RingBytes, offCPURing)
		}
	}
	allocs, err := planAlloc(o)
	if err != nil {
		return nil, err
	}
	coll, inner, plan, err := load(o, allocs)
	if err != nil {
		return nil, err
	}
	s := &Sampler{filter: o.Filter, inner: o.inner(), coll: coll, stopped: make(chan struct{})}
	s.tables.init(coll, inner)
	if o.OffCPU.On {
		s.offcpu = &offCPU{options: o.OffCPU, event: o.OffCPU.event, plan: plan, coll: coll, decide: s.decide}
	}
	if allocs.event >= 0 {
		s.alloc = newAlloc(coll, o, allocs)
		if err := s.hookHeap(); err != nil {
			s.Close()
			return nil, err
		}
	}
	if s.reader, err = ringbuf.NewReader(coll.Maps[bpfMapRing]); err != nil {
		s.Close()
		return nil, fmt.Errorf("open ring: %w", err)
	}
	for i, e := range o.Events {
		if e.hasPrograms() {
			s.events = append(s.events, newCPUEvents(e, nil))
			continue
		}
		s.events = append(s.events, newCPUEvents(e, coll.Programs[eventProgram(o.Events, i)]))
	}
	if err := s.install(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// load loads what o needs, in the way that this kernel has.
func load(o Options, allocs allocPlan) (coll *ebpf.Collection, inner *ebpf.MapSpec, plan offCPUPlan, err error) {
	if o.OffCPU.On {
		if plan, err = planOffCPU(o.OffCPU); err != nil {
			return nil, nil, plan, err
		}
	}
	spec, err := loadBpf()
	if err != nil {
		return nil, nil, plan, fmt.Errorf("read embedded programs: %w", err)
	}
	if err := configure(spec, o, plan, allocs); err != nil {
		return nil, nil, plan, err
	}
	if coll, err = ebpf.NewCollection(spec); err != nil {
		return nil, nil, plan, fmt.Errorf("%w: load programs: %w", ErrKernel, err)
	}
	return coll, spec.Maps[bpfMapTables].InnerMap, plan, nil
}

func (o Options) inner() bool { return o.Namespace != 0 && o.Namespace != initPIDNamespace }

// configure fits the object to one run: constants, map sizes, and no program or room that is not used.
func configure(spec *ebpf.CollectionSpec, o Options, plan offCPUPlan, allocs allocPlan) error {
	delete(spec.Programs, bpfProgKsymNames) // see KernelNamer
	delete(spec.Maps, bpfMapKsyms)
	dropCounting(spec)
	if o.Filter.Kind != FilterProcess && o.Filter.Kind != FilterComm {
		delete(spec.Programs, bpfProgTargetFork)
		delete(spec.Programs, bpfProgTargetFree)
		spec.Maps[bpfMapTargets].MaxEntries = 1
	}
	if o.Filter.Kind != FilterComm {
		spec.Maps[bpfMapComms].MaxEntries = 1
	}
	spec.Maps[bpfMapRing].MaxEntries = uint32(o.RingBytes)
	if err := eventPrograms(spec, o.Events); err != nil {
		return err
	}
	if err := configureOffCPU(spec, o.OffCPU, plan); err != nil {
		return err
	}
	if err := configureAlloc(spec, o, allocs); err != nil {
		return err
	}
	sizeWalkers(spec, o, allocs)
	var timeEvents, sharedEvents uint32
	var periods [maxEvents]uint64
	for i, e := range o.Events {
		if e.IsTime() {
			timeEvents |= 1 << i
		}
		if e.Hardware() {
			sharedEvents |= 1 << i
		}
		periods[i] = e.Period
	}
	return spec.Variables[bpfVarConfig].Set(&bpfProfConfig{
		Filter:          uint32(o.Filter.Kind),
		Namespaced:      flag(o.inner()),
		NsInum:          uint32(o.Namespace),
		CgroupHierarchy: int32(o.Filter.CgroupHierarchy),
		ThreadSize:      threadSize(),
		PageShift:       uint32(bits.TrailingZeros(uint(os.Getpagesize()))),
		WakeupBytes:     uint64(o.RingBytes / 4),
		TimeEvents:      timeEvents,
		SharedEvents:    sharedEvents,
		Periods:         periods,
		OffcpuEvent:     uint32(o.OffCPU.event),
		OffcpuMean:      uint64(o.OffCPU.Mean),
		TaskStorage:     flag(plan.storage),
		SwitchState:     flag(plan.stateArg),
		WalkAsleep:      flag(plan.asleep),
		Wakers:          o.OffCPU.wakers(plan),
		AllocEvent:      uint32(max(allocs.event, 0)),
		AllocContext:    uint32(allocs.context),
		AllocAlone:      flag(allocs.alone),
	})
}

// sizeWalkers gives each context that walks stacks its own memory.
func sizeWalkers(spec *ebpf.CollectionSpec, o Options, allocs allocPlan) {
	contexts := uint32(o.OffCPU.contexts())
	if allocs.event >= 0 {
		contexts++
	}
	spec.Maps[bpfMapScratches].MaxEntries *= contexts
	spec.Maps[bpfMapCaches].MaxEntries *= contexts
	spec.Maps[bpfMapSpaces].MaxEntries = spacesEach * contexts
	spec.Maps[bpfMapDeeps].MaxEntries = deepsEach * contexts
}

func flag(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// threadSize is THREAD_SIZE of kernels without sanitizers (arch/*/include/asm/*.h); only kernels before 5.15 need it.
func threadSize() uint32 {
	return uint32(max(16<<10, os.Getpagesize()))
}

// Start attaches the events to every CPU that is online.
func (s *Sampler) Start() error {
	for _, e := range s.events {
		if err := e.sync(); err != nil {
			return err
		}
	}
	if s.offcpu != nil {
		return s.offcpu.start()
	}
	return nil
}

// Stop ends the events. When it returns no program runs any more, and what is in the ring can be drained by Run.
func (s *Sampler) Stop() {
	s.stopOnce.Do(func() {
		for _, e := range s.events {
			e.Close()
		}
		if s.offcpu != nil {
			s.offcpu.stop()
		}
		if s.alloc != nil {
			s.alloc.stop()
		}
		close(s.stopped)
	})
}

// Close releases everything. Run must have returned.
func (s *Sampler) Close() error {
	s.Stop()
	for _, h := range s.hooks {
		h.Close()
	}
	s.hooks = nil
	if s.reader != nil {
		s.reader.Close()
	}
	s.tables.waits.Wait()
	if s.offcpu != nil {
		s.offcpu.waits.close()
		s.offcpu = nil
	}
	s.coll.Close()
	return nil
}

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
	// Events are numbered in this order, from 0; at least one, at most 16.
	Events []Event
	Filter Filter
	// Namespace is the inode of the profiler's PID namespace, /proc/self/ns/pid. 0 is the initial one.
	Namespace uint64
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
	spec, err := loadBpf()
	if err != nil {
		return nil, fmt.Errorf("read embedded programs: %w", err)
	}
	if o.RingBytes == 0 {
		o.RingBytes = ringBytes(o.Events, runtime.NumCPU())
	}
	if err := configure(spec, o); err != nil {
		return nil, err
	}
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, fmt.Errorf("%w: load programs: %w", ErrKernel, err)
	}
	s := &Sampler{filter: o.Filter, inner: o.inner(), coll: coll, stopped: make(chan struct{})}
	s.tables.init(coll, spec.Maps[bpfMapTables].InnerMap)
	if s.reader, err = ringbuf.NewReader(coll.Maps[bpfMapRing]); err != nil {
		s.Close()
		return nil, fmt.Errorf("open ring: %w", err)
	}
	for i, e := range o.Events {
		s.events = append(s.events, newCPUEvents(e, coll.Programs[eventProgram(o.Events, i)]))
	}
	if err := s.install(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (o Options) inner() bool { return o.Namespace != 0 && o.Namespace != initPIDNamespace }

// configure fits the object to one run: constants, map sizes, and no program or room that is not used.
func configure(spec *ebpf.CollectionSpec, o Options) error {
	delete(spec.Programs, bpfProgKsymNames) // see KernelNamer
	delete(spec.Maps, bpfMapKsyms)
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
	var timeEvents, sharedEvents, inner uint32
	var periods [maxEvents]uint64
	if o.inner() {
		inner = 1
	}
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
		Namespaced:      inner,
		NsInum:          uint32(o.Namespace),
		CgroupHierarchy: int32(o.Filter.CgroupHierarchy),
		ThreadSize:      threadSize(),
		PageShift:       uint32(bits.TrailingZeros(uint(os.Getpagesize()))),
		WakeupBytes:     uint64(o.RingBytes / 4),
		TimeEvents:      timeEvents,
		SharedEvents:    sharedEvents,
		Periods:         periods,
	})
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
	return nil
}

// Stop ends the events. When it returns no program runs any more, and what is in the ring can be drained by Run.
func (s *Sampler) Stop() {
	s.stopOnce.Do(func() {
		for _, e := range s.events {
			e.Close()
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
	s.coll.Close()
	return nil
}

package loader

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"github.com/ebpfprof/ebpfprof/pkg/loader/perfevent"
)

// MaxCounts is how many events one Counting takes.
const MaxCounts = len(bpfProfCountSet{}.Counts)

// defaultCountRows is room for this many processes that ran since they were last read.
const defaultCountRows = 8192

// CountingOptions says what to count. The zero value of a field is its default.
type CountingOptions struct {
	Events []perfevent.Event
	// Filter says whose counts get a row; the others' are summed. FilterComm is not to be had: names are the reader's.
	Filter Filter
	// Namespace is as in Options.
	Namespace uint64
	// Threads makes a row of each thread, not of each process.
	Threads bool
	// Rows bounds how many rows the kernel holds. 0: 8192.
	Rows int
}

// Counting counts perf events by process, whatever runs: each CPU has its counters, which are read when it turns to
// another process. It is not safe for concurrent use.
type Counting struct {
	events   []perfevent.Event
	groups   [][]int
	coll     *ebpf.Collection
	hooks    []closer
	inner    bool
	counters map[int][]*perfevent.Counter // by CPU, in the order of events; nil where the CPU does not count it
	leaders  map[int][]perfevent.Counter  // of their groups
	started  bool
	known    map[bpfProfCountKey]bpfProfCountSet
	cpus     []countedCPU
	closed   bool
}

// OpenCounting loads the programs. Nothing is counted before Start.
//
// Errors: wraps ErrKernel when the kernel or the privileges do not suffice.
func OpenCounting(o CountingOptions) (*Counting, error) {
	if len(o.Events) == 0 || len(o.Events) > MaxCounts {
		return nil, fmt.Errorf("count %d events: want 1 to %d", len(o.Events), MaxCounts)
	}
	if o.Filter.Kind == FilterComm {
		return nil, errors.New("count by thread name: no such filter")
	}
	if err := rlimit.RemoveMemlock(); err != nil && !errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("lift memlock limit: %w", err)
	}
	spec, err := loadBpf()
	if err != nil {
		return nil, fmt.Errorf("read embedded programs: %w", err)
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return nil, fmt.Errorf("count CPUs: %w", err)
	}
	if err := configureCounting(spec, o); err != nil {
		return nil, err
	}
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, fmt.Errorf("%w: load programs that count: %w", ErrKernel, err)
	}
	c := &Counting{
		events: o.Events, groups: perfevent.Groups(o.Events), coll: coll, counters: map[int][]*perfevent.Counter{}, leaders: map[int][]perfevent.Counter{},
		inner: Options{Namespace: o.Namespace}.inner(),
		known: map[bpfProfCountKey]bpfProfCountSet{}, cpus: make([]countedCPU, cpus),
	}
	for _, id := range o.Filter.Cgroups {
		if err := coll.Maps[bpfMapCgroups].Put(id, uint8(1)); err != nil {
			c.Close()
			return nil, fmt.Errorf("enter cgroup %d as a target: %w", id, err)
		}
	}
	return c, nil
}

func configureCounting(spec *ebpf.CollectionSpec, o CountingOptions) error {
	var threads, inner, ahead uint32
	if o.Threads {
		threads = 1
	}
	if (Options{Namespace: o.Namespace}).inner() {
		inner = 1
	}
	for i, e := range o.Events {
		if e.Type == unix.PERF_TYPE_SOFTWARE && e.Config == unix.PERF_COUNT_SW_CONTEXT_SWITCHES {
			ahead |= 1 << i // prepare_task_switch comes after trace_sched_switch (kernel/sched/core.c)
		}
	}
	err := spec.Variables[bpfVarCountConfig].Set(&bpfProfCountConfig{
		Events: uint32(len(o.Events)), Threads: threads, Filter: uint32(o.Filter.Kind), Ahead: ahead,
	})
	if err != nil {
		return fmt.Errorf("configure counting: %w", err)
	}
	err = spec.Variables[bpfVarConfig].Set(&bpfProfConfig{
		Filter: uint32(o.Filter.Kind), Namespaced: inner, NsInum: uint32(o.Namespace),
		CgroupHierarchy: int32(o.Filter.CgroupHierarchy),
	})
	if err != nil {
		return fmt.Errorf("configure counting: %w", err)
	}
	programs := []string{bpfProgCountSwitch, bpfProgCountFlush, bpfProgCountExec, bpfProgCountFree}
	if o.Filter.Kind == FilterProcess {
		programs = append(programs, bpfProgTargetFork, bpfProgTargetFree)
	}
	rows := o.Rows
	if rows == 0 {
		rows = defaultCountRows
	}
	spec.Maps[bpfMapCountRows].MaxEntries = uint32(rows)
	for _, name := range []string{bpfMapRing, bpfMapComms} { // for filters by name only
		spec.Maps[name].MaxEntries = map[string]uint32{bpfMapRing: uint32(os.Getpagesize()), bpfMapComms: 1}[name]
	}
	keepPrograms(spec, programs...)
	return nil
}

// countEventMap is the map of the counters of an event.
func countEventMap(event int) string { return fmt.Sprintf("count_event_%d", event) }

// dropCounting leaves out of a specification what only a Counting needs.
func dropCounting(spec *ebpf.CollectionSpec) {
	for _, name := range []string{bpfProgCountSwitch, bpfProgCountFlush, bpfProgCountExec, bpfProgCountFree} {
		delete(spec.Programs, name)
	}
	delete(spec.Maps, bpfMapCountRows)
	delete(spec.Maps, bpfMapCountCpus)
	for i := range MaxCounts {
		delete(spec.Maps, countEventMap(i))
	}
	delete(spec.Variables, bpfVarCountConfig)
}

// AddTarget is as Sampler.AddTarget.
func (c *Counting) AddTarget(pid int, startTicks uint64) error {
	return addTarget(c.coll.Maps[bpfMapTargets], c.inner, pid, startTicks)
}

// Start attaches the programs and starts the counters of every CPU that is online.
func (c *Counting) Start() error {
	if err := c.syncCPUs(); err != nil { // first, as a counter that is not there counts as one off the PMU
		return err
	}
	for _, name := range []string{
		bpfProgTargetFork, bpfProgTargetFree, bpfProgCountExec, bpfProgCountFree, bpfProgCountSwitch,
	} {
		p := c.coll.Programs[name]
		if p == nil {
			continue
		}
		l, err := link.AttachTracing(link.TracingOptions{Program: p})
		if err != nil {
			return fmt.Errorf("%w: attach %s: %w", ErrKernel, name, err)
		}
		c.hooks = append(c.hooks, l)
	}
	c.started = true
	for cpu := range c.counters {
		if err := c.enableCPU(cpu); err != nil {
			return err
		}
	}
	return nil
}

// KernelBytes is the memory that the maps hold in the kernel.
func (c *Counting) KernelBytes() uint64 { return kernelBytes(c.coll) }

// Close ends the counters and releases everything.
func (c *Counting) Close() error {
	if c.closed {
		return nil
	}
	c.closed = true
	for _, h := range c.hooks {
		h.Close()
	}
	for cpu := range c.counters {
		c.closeCPU(cpu)
	}
	c.coll.Close()
	return nil
}

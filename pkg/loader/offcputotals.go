package loader

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Doing is what a thread does, or waits for.
type Doing uint8

// What threads do.
const (
	Running         = Doing(bpfProfDoingPROF_DOING_RUN)
	Interruptible   = Doing(bpfProfDoingPROF_DOING_SLEEP)
	Uninterruptible = Doing(bpfProfDoingPROF_DOING_BLOCKED)
	BlockIO         = Doing(bpfProfDoingPROF_DOING_IO)
	Stopped         = Doing(bpfProfDoingPROF_DOING_STOPPED)
	Runqueue        = Doing(bpfProfDoingPROF_DOING_RUNQUEUE)
	Doings          = int(bpfProfDoingPROF_DOINGS)
)

// String is the state's name in labels, summaries and metrics.
func (d Doing) String() string {
	switch d {
	case Running:
		return "running"
	case Interruptible:
		return "interruptible"
	case Uninterruptible:
		return "uninterruptible"
	case BlockIO:
		return "io"
	case Stopped:
		return "stopped"
	case Runqueue:
		return "runqueue"
	}
	return "unknown"
}

// RunqueueBuckets is the number of buckets of a RunqueueHistogram.
const RunqueueBuckets = 108 // PROF_RUNQUEUE_BUCKETS

// A RunqueueHistogram counts waits for a CPU by their length: four buckets to each power of two.
type RunqueueHistogram [RunqueueBuckets]uint64

// RunqueueBucket is the least length of bucket i; the last has no upper bound.
func RunqueueBucket(i int) time.Duration {
	const unit = 1024 // ns
	if i < 4 {
		return time.Duration(i * unit)
	}
	return time.Duration(unit*(4+i%4)) << (i/4 - 1)
}

// Times are exact: each nanosecond since the thread was taken up is in one state.
type Times struct {
	In       [Doings]time.Duration // by Doing
	Switches uint64                // away from a CPU
	Runqueue RunqueueHistogram
}

// OffCPU is the time not running.
func (t *Times) OffCPU() time.Duration {
	var sum time.Duration
	for d := range t.In {
		if Doing(d) != Running {
			sum += t.In[d]
		}
	}
	return sum
}

// Add adds o.
func (t *Times) Add(o *Times) {
	for i := range t.In {
		t.In[i] += o.In[i]
	}
	t.Switches += o.Switches
	for i := range t.Runqueue {
		t.Runqueue[i] += o.Runqueue[i]
	}
}

// ThreadTimes is of a living thread of a target.
type ThreadTimes struct {
	PID, TID int    // in the profiler's PID namespace
	StartNs  uint64 // of the process, as in Sample
	Comm     string
	Doing    Doing // at the time of reading
	Times
}

// ProcessTimes is of a process's threads that have ended.
type ProcessTimes struct {
	PID     int
	StartNs uint64
	Times
}

// OffCPUTotals is what threads of targets did since Start, or since they began.
type OffCPUTotals struct {
	Threads []ThreadTimes
	Ended   []ProcessTimes
	// Unfolded counts threads whose times were lost at their end, for want of room; Untracked those that were never seen.
	Unfolded, Untracked uint64
}

var errNoOffCPU = errors.New("off-CPU time is not accounted: Options.OffCPU is off")

// OffCPUTotals reads the exact times of all threads, those of waits that go on included. After Stop it returns what they
// were then. A process whose threads have all ended is in Ended for two readings at least. Safe for concurrent use.
func (s *Sampler) OffCPUTotals() (OffCPUTotals, error) {
	if s.offcpu == nil {
		return OffCPUTotals{}, errNoOffCPU
	}
	return s.offcpu.visit(false)
}

// FlushOffCPU does the same and samples the waits that have not ended: what of them was sampled is not sampled again.
// To be called at the end of each window.
func (s *Sampler) FlushOffCPU() (OffCPUTotals, error) {
	if s.offcpu == nil {
		return OffCPUTotals{}, errNoOffCPU
	}
	return s.offcpu.visit(true)
}

const rowBytes = int(unsafe.Sizeof(bpfProfThreadRow{}))

func (o *offCPU) visit(samples bool) (OffCPUTotals, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended.Load() || o.iter == nil {
		return o.last, nil
	}
	var flag uint32
	if samples {
		flag = 1
	}
	if err := o.coll.Variables[bpfVarVisitSamples].Set(flag); err != nil {
		return OffCPUTotals{}, fmt.Errorf("prepare the visit of threads: %w", err)
	}
	var t OffCPUTotals
	// Those that ended first: a thread that ends meanwhile is missed once, not counted twice.
	ended, err := readProcesses(o.coll.Maps[bpfMapProcesses])
	if err != nil {
		return OffCPUTotals{}, fmt.Errorf("read times of ended threads: %w", err)
	}
	if err := o.readThreads(&t); err != nil {
		return OffCPUTotals{}, err
	}
	o.addEnded(&t, ended)
	for _, event := range []uint32{uint32(o.event), maxEvents} {
		var perCPU []bpfProfCounters
		if err := o.coll.Maps[bpfMapCounters].Lookup(event, &perCPU); err != nil {
			return OffCPUTotals{}, fmt.Errorf("read counters: %w", err)
		}
		for i := range perCPU {
			t.Unfolded += perCPU[i].Unfolded
			t.Untracked += perCPU[i].Untracked
		}
	}
	o.last = t
	if o.options.Visited != nil {
		o.options.Visited(&o.last)
	}
	return t, nil
}

// readThreads reads the iterator: its program is run for each thread of the machine.
func (o *offCPU) readThreads(t *OffCPUTotals) error {
	// The clock of a CPU's queue stands still between two passes of the scheduler: go through it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
	r, err := o.iter.Open()
	if err != nil {
		return fmt.Errorf("open %s: %w", bpfProgOffcpuVisit, err)
	}
	defer r.Close()
	in := bufio.NewReaderSize(r, 256<<10)
	var raw [rowBytes]byte
	row := (*bpfProfThreadRow)(unsafe.Pointer(&raw))
	for {
		if _, err := io.ReadFull(in, raw[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("read %s: %w", bpfProgOffcpuVisit, err)
		}
		if row.Undecided != 0 && !o.accept(row) {
			continue
		}
		t.Threads = append(t.Threads, ThreadTimes{
			PID: int(row.Tgid), TID: int(row.Tid), StartNs: row.StartNs,
			Comm: commString(row.Comm[:]), Doing: Doing(row.Doing), Times: decodeTimes(&row.Times),
		})
	}
}

func (o *offCPU) accept(row *bpfProfThreadRow) bool {
	own := o.decide(row.Comm)
	return row.Origin != [16]byte{} && o.decide(row.Origin) || own
}

func decodeTimes(p *bpfProfTimes) Times {
	t := Times{Switches: p.Switches}
	for i, ns := range p.Ns {
		t.In[i] = time.Duration(ns)
	}
	for i, n := range p.Runqueue {
		t.Runqueue[i] = uint64(n)
	}
	return t
}

// addEnded adds the times of threads that had ended, and deletes those of processes that had gone the last time already: no
// thread of theirs can add to them.
func (o *offCPU) addEnded(t *OffCPUTotals, ended []endedProcess) {
	alive := make(map[bpfProfProcessKey]bool, len(t.Threads))
	for i := range t.Threads {
		alive[bpfProfProcessKey{StartNs: t.Threads[i].StartNs, Tgid: uint32(t.Threads[i].PID)}] = true
	}
	gone := map[bpfProfProcessKey]bool{}
	for i := range ended {
		k := ended[i].key
		t.Ended = append(t.Ended, ProcessTimes{PID: int(k.Tgid), StartNs: k.StartNs, Times: decodeTimes(&ended[i].times)})
		switch {
		case alive[k]:
		case !o.gone[k]:
			gone[k] = true
		default:
			_ = o.coll.Maps[bpfMapProcesses].Delete(&k) // fails if it is gone, which serves as well
		}
	}
	o.gone = gone
}

type endedProcess struct {
	key   bpfProfProcessKey
	times bpfProfTimes
}

// readProcesses reads the map in batches (5.6).
func readProcesses(m *ebpf.Map) (all []endedProcess, err error) {
	const batch = 256
	keys, values := make([]bpfProfProcessKey, batch), make([]bpfProfTimes, batch)
	var cursor ebpf.MapBatchCursor
	for {
		n, err := m.BatchLookup(&cursor, keys, values, nil)
		for i := range n {
			all = append(all, endedProcess{keys[i], values[i]})
		}
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

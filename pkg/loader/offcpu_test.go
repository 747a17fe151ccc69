package loader

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebpfprof/ebpfprof/internal/target"
)

// offCPUModes are the ways of this kernel and of older ones.
var offCPUModes = map[string]OffCPU{
	"deferred": {On: true, Mean: 5 * time.Millisecond},
	"early":    {On: true, Mean: 5 * time.Millisecond, Early: true},
	"hashed":   {On: true, Mean: 5 * time.Millisecond, Hashed: true},
}

// schedstat is what the kernel accounts of a thread: time on a CPU, and time waiting for one.
type schedstat struct{ on, queued, at time.Duration }

func readSchedstat(t *testing.T, pid, tid int) schedstat {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/schedstat", pid, tid))
	if err != nil {
		t.Fatal(err)
	}
	var on, queued int64
	if _, err := fmt.Sscan(string(b), &on, &queued); err != nil {
		t.Fatal(err)
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return schedstat{time.Duration(on), time.Duration(queued), time.Duration(now.Nano())}
}

func byTID(t OffCPUTotals) map[int]ThreadTimes {
	m := map[int]ThreadTimes{}
	for _, th := range t.Threads {
		m[th.TID] = th
	}
	return m
}

// near allows 2 %, and what passes between reading our figures and the kernel's: slices of other programs, on a busy machine.
func near(got, want time.Duration) bool {
	return math.Abs(float64(got-want)) <= 0.02*float64(want)+float64(25*time.Millisecond)
}

// The exact times of threads agree with what the kernel accounts, and the weights of the stacks add up to them.
func TestOffCPU(t *testing.T) {
	for name, o := range offCPUModes {
		t.Run(name, func(t *testing.T) { testOffCPU(t, o) })
	}
}

func testOffCPU(t *testing.T, o OffCPU) {
	s := open(t, Options{OffCPU: o, Filter: Filter{Kind: FilterProcess}})
	p := target.Start(t, target.C(t, "waits"), "20", t.TempDir())
	if err := s.AddTarget(p.PID, 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	begin, err := s.OffCPUTotals()
	if err != nil {
		t.Fatal(err)
	}
	before := map[int]schedstat{}
	for tid := range byTID(begin) {
		before[tid] = readSchedstat(t, p.PID, tid)
	}
	weights := map[string]float64{} // by thread's name
	states := map[string]map[Doing]float64{}
	waits := map[string]map[Wait]int{}
	got := &collector{onSample: func(s *Sample) {
		d, w := OffCPUTag(s.Tag)
		comm := string(s.Comm)
		if states[comm] == nil {
			states[comm], waits[comm] = map[Doing]float64{}, map[Wait]int{}
		}
		weights[comm] += float64(s.Weight)
		states[comm][d] += float64(s.Weight)
		waits[comm][w]++
	}}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(got) }()
	for range 3 {
		time.Sleep(time.Second)
		if _, err := s.FlushOffCPU(); err != nil {
			t.Fatal(err)
		}
	}
	end, err := s.OffCPUTotals()
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range s.coll.Programs {
		if st, err := p.Stats(); err == nil && st.RecursionMisses > 0 {
			t.Logf("%s missed %d runs", name, st.RecursionMisses)
		}
	}
	first := byTID(begin)
	for tid, th := range byTID(end) {
		now := readSchedstat(t, p.PID, tid)
		wall, on, queued := now.at-before[tid].at, now.on-before[tid].on, now.queued-before[tid].queued
		was := first[tid].Times
		off, runqueue := th.OffCPU()-was.OffCPU(), th.In[Runqueue]-was.In[Runqueue]
		t.Logf("%-8s off %v want %v, runqueue %v want %v, in %v", th.Comm, off, wall-on, runqueue, queued, th.In)
		if !near(off, wall-on) {
			t.Errorf("%s was off the CPU for %v, want %v", th.Comm, off, wall-on)
		}
		// A wait is in the kernel's figure, all of it, when it ends: what waits at the end is missing there, and of what
		// waited at the beginning there is too much.
		if d := first[tid].Doing; th.Doing != Runqueue && d != Runqueue && !near(runqueue, queued) ||
			th.Doing != Runqueue && !near(min(runqueue, queued), runqueue) || d != Runqueue && !near(max(runqueue, queued), runqueue) {
			t.Errorf("%s waited %v for a CPU, want %v", th.Comm, runqueue, queued)
		}
	}
	s.Stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	c, err := s.Counters(0)
	if err != nil {
		t.Fatal(err)
	}
	checkConservation(t, c, got)
	t.Logf("%+v ends %v", c, got.ends)
	total, _ := s.OffCPUTotals()
	var exact, stacks, asleep float64
	for _, th := range total.Threads {
		t.Logf("%-8s stacks %.3f s, exact %v, states %v, waits %v", th.Comm, weights[th.Comm]/1e9, th.OffCPU(), states[th.Comm], waits[th.Comm])
		exact += float64(th.OffCPU())
		if th.Comm == "asleep" {
			asleep = float64(th.OffCPU())
		}
		stacks += weights[th.Comm]
	}
	if limit := map[bool]float64{false: 0.1, true: 0.3}[o.Early || o.Hashed]; math.Abs(stacks/exact-1) > limit { // see docs/off-cpu.md for the variance
		t.Errorf("stacks stand for %.3f s, the threads were off the CPU for %.3f s", stacks/1e9, exact/1e9)
	}
	if w := weights["asleep"]; asleep < 3e9 || math.Abs(w/asleep-1) > 0.02 || waits["asleep"][WaitPipe] == 0 {
		t.Errorf("asleep: stacks of %.3f s in %v, want %.3f s in a pipe", w/1e9, waits["asleep"], asleep/1e9)
	}
	if waits["sleeper"][WaitNanosleep] == 0 || waits["lock0"][WaitFutex] == 0 {
		t.Errorf("waits %v", waits)
	}
	if states["queue0"][Runqueue] < 0.9*weights["queue0"] {
		t.Errorf("queue0 waited in %v", states["queue0"])
	}
}

func TestOffCPUNeedsOption(t *testing.T) {
	s := open(t, Options{Events: []Event{CPUClock(99)}})
	if _, err := s.OffCPUTotals(); err == nil {
		t.Error("totals of an event that is off")
	}
}

// The quantiles' mean is the distribution's, but for what lies beyond the last: that is drawn anew.
func TestGapQuantiles(t *testing.T) {
	const mean = 100 * time.Millisecond
	q := gapQuantiles(mean)
	var sum float64
	for i := range gapSteps - 1 {
		if q[i+1] <= q[i] {
			t.Fatalf("quantile %d is not above the one before", i+1)
		}
		sum += float64(q[i]+q[i+1]) / 2 / gapSteps
	}
	sum += (float64(q[gapSteps-1]) + float64(mean)) / gapSteps
	if math.Abs(sum/float64(mean)-1) > 1e-3 {
		t.Errorf("mean %v, want %v", time.Duration(sum), mean)
	}
}

func TestRunqueueBucket(t *testing.T) {
	for i, want := range map[int]time.Duration{0: 0, 1: 1024, 4: 4096, 5: 5120, 8: 8192, 11: 14336, 107: 7 << 35} {
		if got := RunqueueBucket(i); got != want {
			t.Errorf("bucket %d begins at %d ns, want %d", i, got, want)
		}
	}
	for i := 1; i < RunqueueBuckets; i++ {
		if RunqueueBucket(i) <= RunqueueBucket(i-1) {
			t.Errorf("bucket %d is not above the one before", i)
		}
	}
}

func TestClassifyWait(t *testing.T) {
	for stack, want := range map[string]Wait{
		"":    WaitUnknown,
		"0 0": WaitOther,
		"__schedule schedule futex_wait_queue __futex_wait futex_wait do_futex":                              WaitFutex,
		"schedule do_nanosleep hrtimer_nanosleep":                                                            WaitNanosleep,
		"schedule schedule_hrtimeout_range ep_poll do_epoll_wait":                                            WaitEpoll,
		"schedule io_schedule folio_wait_bit_common filemap_fault __do_fault handle_mm_fault exc_page_fault": WaitPagefault,
		"schedule io_schedule folio_wait_bit_common filemap_read ext4_file_read_iter":                        WaitIO,
		"schedule schedule_preempt_disabled __mutex_lock pipe_write":                                         WaitPipe,
		"schedule rwsem_down_read_slowpath down_read ksys_mmap":                                              WaitLock,
	} {
		if got := classifyWait(strings.Fields(stack)); got != want {
			t.Errorf("%q: %q, want %q", stack, got, want)
		}
	}
	if n := schedulerDepth([]string{"bpf_prog_1", "bpf_trace_run4", "__schedule", "schedule"}); n != 2 {
		t.Errorf("%d frames before the scheduler, want 2", n)
	}
}

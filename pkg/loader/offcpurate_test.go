package loader

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/internal/target"
)

// Under some 200,000 switches a second, of two CPUs, the times of each thread are still the scheduler's, and what of the
// stacks is lost is counted.
func TestOffCPUUnderSwitches(t *testing.T) {
	for name, o := range offCPUModes {
		t.Run(name, func(t *testing.T) { testOffCPUUnderSwitches(t, o) })
	}
}

func testOffCPUUnderSwitches(t *testing.T, o OffCPU) {
	s := open(t, Options{OffCPU: o, Filter: Filter{Kind: FilterProcess}})
	p := target.Start(t, target.C(t, "pingpong"), "2", "6", "14000")
	if err := s.AddTarget(p.PID, 0); err != nil {
		t.Fatal(err)
	}
	var family []int
	for deadline := time.Now().Add(5 * time.Second); len(family) < 4; time.Sleep(10 * time.Millisecond) {
		if family = descendants(p.PID); time.Now().After(deadline) {
			t.Fatalf("pingpong has the children %v, want two pairs", family)
		}
	}
	for _, child := range family {
		if err := s.AddTarget(child, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	got := &collector{}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(got) }()
	read := func() (map[int]ThreadTimes, map[int]schedstat) {
		totals, err := s.OffCPUTotals()
		if err != nil {
			t.Fatal(err)
		}
		threads, stats := byTID(totals), map[int]schedstat{}
		for tid, th := range threads {
			stats[tid] = readSchedstat(t, th.PID, tid)
		}
		return threads, stats
	}
	before, statBefore := read()
	time.Sleep(2 * time.Second)
	after, statAfter := read()
	var switches uint64
	for tid, th := range after {
		was, a, b := before[tid], statBefore[tid], statAfter[tid]
		off, runqueue := th.OffCPU()-was.OffCPU(), th.In[Runqueue]-was.In[Runqueue]
		if want := (b.at - a.at) - (b.on - a.on); !near(off, want) {
			t.Errorf("thread %d was off the CPU for %v, want %v", tid, off, want)
		}
		if want := b.queued - a.queued; !near(runqueue, want) {
			t.Errorf("thread %d waited %v for a CPU, want %v", tid, runqueue, want)
		}
		switches += th.Switches - was.Switches
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
	t.Logf("%d threads, %d switches a second, %+v", len(after), switches/2, c)
	if len(after) < 5 || switches < 20_000 {
		t.Errorf("%d threads made %d switches", len(after), switches)
	}
}

// descendants are the children of a process, and theirs.
func descendants(pid int) (all []int) {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, field := range strings.Fields(string(b)) {
		if child, err := strconv.Atoi(field); err == nil {
			all = append(append(all, child), descendants(child)...)
		}
	}
	return all
}

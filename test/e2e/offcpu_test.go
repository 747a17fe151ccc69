package e2e

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/internal/target"
)

// onCPU is for how long each thread of a process has run, by the scheduler.
func onCPU(t *testing.T, pid int) map[int64]time.Duration {
	t.Helper()
	paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(paths) == 0 {
		t.Fatalf("process %d has no threads: %v", pid, err)
	}
	ran := map[int64]time.Duration{}
	for _, path := range paths {
		tid, err := strconv.ParseInt(filepath.Base(filepath.Dir(path)), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var ns int64
		if _, err := fmt.Sscan(string(data), &ns); err != nil {
			t.Fatal(err)
		}
		ran[tid] = time.Duration(ns)
	}
	return ran
}

// TestOffCPUByThread: the profile has, for each thread, the time in which it did not run, by the scheduler's own count.
func TestOffCPUByThread(t *testing.T) {
	needRoot(t)
	p := target.Start(t, target.C(t, "waits"), "60", t.TempDir())
	f := newFiles(t)
	before, begun := onCPU(t, p.PID), time.Now()
	o := run(t, f.args("-e", "off-cpu", "-p", strconv.Itoa(p.PID), "-d", "6s")...)
	after, passed := onCPU(t, p.PID), time.Since(begun)
	if o.exit != 0 {
		t.Fatalf("exit %d: %s", o.exit, o.stderr)
	}
	r := f.read(t, o)
	got := map[int64]int64{}
	var all int64
	for _, s := range r.profile.Sample {
		tid := s.NumLabel["tid"]
		if len(tid) != 1 {
			t.Fatalf("a sample with tid %v", tid)
		}
		got[tid[0]] += s.Value[len(s.Value)-1]
		all += s.Value[len(s.Value)-1]
	}
	// What passed around the recording, at its start above all, is in the scheduler's count alone: the sleeping main
	// thread's time is the recording's length.
	length := time.Duration(got[int64(p.PID)])
	if length < 5900*time.Millisecond || length > passed {
		t.Errorf("the main thread, which sleeps, did not run for %v of 6 s", length)
	}
	for tid, ran := range after {
		want := length - time.Duration(float64(ran-before[tid])*float64(length)/float64(passed))
		t.Logf("thread %d: off the CPU %v, by the scheduler %v", tid, time.Duration(got[tid]), want)
		if d := math.Abs(float64(time.Duration(got[tid]) - want)); d > 0.02*float64(want)+float64(100*time.Millisecond) {
			t.Errorf("thread %d: off the CPU %v, by the scheduler %v", tid, time.Duration(got[tid]), want)
		}
	}
	if got[0] != 0 || len(got) != len(after) {
		t.Errorf("%d threads in the profile, %d live", len(got), len(after))
	}
	if all != r.event.Value {
		t.Errorf("the profile has %d ns, the summary %d", all, r.event.Value)
	}
}

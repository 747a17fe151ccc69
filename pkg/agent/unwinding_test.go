package agent

import (
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/internal/target"
	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

// profileOf samples a running process for two seconds, with its unwind tables in place.
func profileOf(t *testing.T, pid int, budget int64) (*pprof.Profile, Stacks, UnwindStats) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: loads BPF programs")
	}
	event := loader.CPUClock(499)
	s, err := loader.Open(loader.Options{Events: []loader.Event{event}, Filter: loader.Filter{Kind: loader.FilterProcess}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r, err := NewRecorder(proc.FS{}, KindsOf(event), s.Reannounce, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.Unwind(s, budget, t.TempDir())
	r.Prepare(20*time.Second, pid)
	if got := s.TableBytes(); got > budget {
		t.Errorf("tables take %d bytes of a budget of %d", got, budget)
	}
	if err := s.AddTarget(pid, 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(2*time.Second, s.Stop)
	if err := s.Run(r); err != nil {
		t.Fatal(err)
	}
	p, stacks := r.Profile(time.Now(), time.Second)
	if r.Samples() < 50 {
		t.Fatalf("%d samples of a process that runs all the time", r.Samples())
	}
	return p, stacks[0], r.UnwindStats()
}

// Code without frame pointers, in the program and in the C library below it, is walked to its root.
func TestUnwindWithoutFramePointers(t *testing.T) {
	for _, depth := range []string{"5", "1000"} {
		program := target.C(t, "recursion", "-O2", "-fomit-frame-pointer")
		run := target.Start(t, program, depth, "60")
		p, stacks, _ := profileOf(t, run.PID, DefaultUnwindBudget)
		whole := stacks.ByEnd["complete"]
		var all uint64
		for _, n := range stacks.ByEnd {
			all += n
		}
		if whole*100 < all*99 {
			t.Errorf("depth %s: stacks by end: %v, want 99 %% complete", depth, stacks.ByEnd)
		}
		want := 5
		if depth == "1000" {
			want = 1000
		}
		for _, s := range p.Sample {
			got := names(s)
			if got[len(got)-1] != "_start" {
				continue
			}
			n := 0
			for _, name := range got {
				if name == "descend" {
					n++
				}
			}
			if n != want {
				t.Fatalf("depth %s: %d frames of descend in %q", depth, n, got)
			}
		}
	}
}

// A stack deeper than a record keeps its leaf and its root; one that is deeper than a sample may walk has its root after
// some samples on each CPU.
func TestUnwindDeep(t *testing.T) {
	for _, c := range []struct {
		depth    string
		rootless int // samples on each CPU that may lack their root
	}{{"10000", 0}, {"100000", 7}} {
		program := target.C(t, "recursion", "-O2", "-fomit-frame-pointer")
		run := target.Start(t, program, c.depth, "60")
		p, stacks, _ := profileOf(t, run.PID, DefaultUnwindBudget)
		if stacks.ByEnd["truncated"] == 0 || stacks.ByEnd["complete"] > 0 {
			t.Errorf("depth %s: stacks by end: %v, want truncated ones", c.depth, stacks.ByEnd)
		}
		var rooted, all int
		for _, s := range p.Sample {
			got := names(s)
			joined := strings.Join(got, ";")
			if !strings.Contains(joined, "[truncated]") || !strings.Contains(joined, ";descend;descend;") {
				t.Fatalf("depth %s: stack %s ... %s", c.depth, strings.Join(got[:3], ";"), strings.Join(got[len(got)-3:], ";"))
			}
			all += int(s.Value[0])
			if strings.Contains(joined, ";main;") && got[len(got)-1] == "_start" {
				rooted += int(s.Value[0])
			}
		}
		if all-rooted > c.rootless*runtime.NumCPU() || rooted == 0 {
			t.Errorf("depth %s: %d of %d samples have their root", c.depth, rooted, all)
		}
	}
}

// Without room for tables there are frame pointers, and honesty.
func TestUnwindBudget(t *testing.T) {
	program := target.C(t, "recursion", "-O2", "-fomit-frame-pointer")
	run := target.Start(t, program, "5", "60")
	_, stacks, stats := profileOf(t, run.PID, 4096)
	if stats.TooLarge == 0 {
		t.Errorf("statistics %+v: want tables that are too large", stats)
	}
	if stacks.ByEnd["no_unwind_info"] == 0 {
		t.Errorf("stacks by end: %v, want incomplete ones", stacks.ByEnd)
	}
}

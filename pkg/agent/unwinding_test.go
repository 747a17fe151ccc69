package agent

import (
	"os"
	"strings"
	"testing"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/internal/target"
	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

// profileOf samples a running process for a second, with its unwind tables in place.
func profileOf(t *testing.T, pid int, budget int64) (*pprof.Profile, Stacks, UnwindStats) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: loads BPF programs")
	}
	event := loader.CPUClock(499)
	s, err := loader.Open(loader.Options{Event: event, Filter: loader.Filter{Kind: loader.FilterProcess}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r := NewRecorder(proc.FS{}, event, s.Reannounce, nil)
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
	time.AfterFunc(time.Second, s.Stop)
	if err := s.Run(r); err != nil {
		t.Fatal(err)
	}
	p, stacks := r.Profile(time.Now(), time.Second)
	if r.Samples() < 50 {
		t.Fatalf("%d samples of a process that runs all the time", r.Samples())
	}
	return p, stacks, r.UnwindStats()
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

// A stack deeper than a record keeps its leaf and its root.
func TestUnwindDeep(t *testing.T) {
	program := target.C(t, "recursion", "-O2", "-fomit-frame-pointer")
	run := target.Start(t, program, "10000", "60")
	p, stacks, _ := profileOf(t, run.PID, DefaultUnwindBudget)
	if stacks.ByEnd["truncated"] == 0 || stacks.ByEnd["complete"] > 0 {
		t.Errorf("stacks by end: %v, want truncated ones", stacks.ByEnd)
	}
	got := names(p.Sample[0])
	joined := strings.Join(got, ";")
	if got[len(got)-1] != "_start" || !strings.Contains(joined, "[truncated]") || !strings.Contains(joined, "bottom") {
		t.Errorf("stack %s ... %s", strings.Join(got[:3], ";"), strings.Join(got[len(got)-3:], ";"))
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

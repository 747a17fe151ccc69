package guest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const waits = "/bin/waits"

// offCPUSummary is the exact part of what `record -e off-cpu --summary` writes.
type offCPUSummary struct {
	States map[string]struct {
		Exact  float64 `json:"exact_seconds"`
		Stacks float64 `json:"stack_seconds"`
	} `json:"states"`
	Exact     float64 `json:"exact_seconds"`
	Stacks    float64 `json:"stack_seconds"`
	Run       float64 `json:"run_seconds"`
	Unfolded  int     `json:"unfolded_threads"`
	Untracked int     `json:"untracked_threads"`
}

// TestOffCPUSleeping: a thread that reads an empty pipe all the time, and the main thread, which sleeps: all of their time is
// in the state interruptible, and in stacks that say where, which come from the visits alone.
func TestOffCPUSleeping(t *testing.T) {
	needGuest(t)
	p := start(t, waits, "60", t.TempDir(), "asleep")
	r := recordEvent(t, "off-cpu", "-e", "off-cpu", "-p", strconv.Itoa(p.Process.Pid), "-d", "4s")
	if r.exit != 0 {
		t.Fatalf("exit %d", r.exit)
	}
	r.lasted(t, 4, r.offCPU.States["interruptible"].Exact/2)
	near(t, "seconds in all states", r.offCPU.Exact+r.offCPU.Run, r.offCPU.States["interruptible"].Exact, 0.02)
	// The first and the last visit are of parts of a second, which may be too short for a sample.
	near(t, "seconds in stacks", r.offCPU.Stacks, r.offCPU.Exact, 0.15)
	if r.count(func(s stack) bool { return s.has("(anon_)?pipe_read|pipe_wait(_readable)?") }) == 0 {
		t.Errorf("no stack in pipe_read: %v", r.stacks)
	}
}

// TestOffCPURunqueue: of two threads that burn one CPU, one always waits for it, and the scheduler knows for how long they ran.
// For how long they waited it knows when a wait ends, which is no use for so few and long ones.
func TestOffCPURunqueue(t *testing.T) {
	needGuest(t)
	p := start(t, waits, "60", t.TempDir(), "queue0", "queue1")
	kernel := followSchedstat(t, p.Process.Pid)
	r := recordEvent(t, "off-cpu", "-e", "off-cpu", "-p", strconv.Itoa(p.Process.Pid), "-d", "5s")
	if r.exit != 0 {
		t.Fatalf("exit %d", r.exit)
	}
	// The main thread sleeps all the time: it tells how long sampling was.
	window := r.offCPU.States["interruptible"].Exact
	r.lasted(t, 5, window)
	near(t, "seconds on a CPU", r.offCPU.Run, kernel.ran(t, r.from, r.to), 0.15)
	near(t, "seconds on a CPU and in the run queue", r.offCPU.Run+r.offCPU.States["runqueue"].Exact, 2*window, 0.02)
	if queued := r.offCPU.States["runqueue"].Exact; queued < 0.95*window {
		t.Errorf("%.2f s in the run queue of %.2f s", queued, window)
	}
}

// lasted fails if a thread was not seen for the seconds that were asked for, or for more than the recording took: the
// programs are attached and detached within it, which takes an emulated machine long.
func (r recording) lasted(t *testing.T, asked, seen float64) {
	t.Helper()
	if whole := (r.to - r.from).Seconds(); seen < asked || seen > whole {
		t.Errorf("a thread was seen for %.2f s, want %.2f to %.2f s", seen, asked, whole)
	}
}

// TestOffCPUBesides loads what the daemon samples, all at once.
func TestOffCPUBesides(t *testing.T) {
	needGuest(t)
	start(t, waits, "60", t.TempDir(), "sleeper", "lock0", "lock1")
	dir := t.TempDir()
	sum := filepath.Join(dir, "summary.json")
	exit, _, stderr := run(t, "record", "-e", "cpu", "-e", "page-faults:100", "-e", "off-cpu", "-a", "-d", "3s",
		"-o", filepath.Join(dir, "out.pb.gz"), "--summary", sum)
	mayLack(t, exit, stderr)
	data, err := os.ReadFile(sum)
	if err != nil {
		t.Fatalf("exit %d, %v\n%s", exit, err, stderr)
	}
	var s summary
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatalf("summary: %v\n%s", err, data)
	}
	t.Logf("summary: %s", strings.Join(strings.Fields(string(data)), " "))
	for _, name := range []string{"cpu", "page-faults", "off-cpu"} {
		e := s.Events[name]
		if e.Fired != e.Samples+total(e.Lost) || e.Samples == 0 && name != "page-faults" {
			t.Errorf("%s: fired %d, samples %d, lost %v", name, e.Fired, e.Samples, e.Lost)
		}
	}
	o := s.Events["off-cpu"].OffCPU
	if o == nil || o.Unfolded+o.Untracked > 0 || o.States["interruptible"].Exact < 3*s.Seconds {
		t.Errorf("off-cpu: %+v", o)
	}
}

// A schedstat is what the kernel accounts of a process's threads: seconds on a CPU.
type schedstat struct {
	at  time.Duration
	ran float64
}

// schedstats are readings of one process, all the time.
type schedstats struct {
	mu  sync.Mutex
	all []schedstat
}

func followSchedstat(t *testing.T, pid int) *schedstats {
	t.Helper()
	s := &schedstats{}
	tick := time.NewTicker(50 * time.Millisecond)
	stopped, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stopped:
				return
			case <-tick.C:
				s.read(t, pid)
			}
		}
	}()
	t.Cleanup(func() { tick.Stop(); close(stopped); <-ended })
	return s
}

func (s *schedstats) read(t *testing.T, pid int) {
	now := schedstat{at: monotonic(t)}
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			return
		}
		var ran float64
		if _, err := fmt.Sscan(string(data), &ran); err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		now.ran += ran / 1e9
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, now)
}

// ran returns by how much the readings nearest to both times differ, for the time between.
func (s *schedstats) ran(t *testing.T, from, to time.Duration) float64 {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) == 0 {
		t.Fatal("schedstat was never read")
	}
	nearest := func(at time.Duration) (best schedstat) {
		for _, r := range s.all {
			if best.at == 0 || (r.at-at).Abs() < (best.at-at).Abs() {
				best = r
			}
		}
		return best
	}
	a, b := nearest(from), nearest(to)
	return (b.ran - a.ran) * (to - from).Seconds() / (b.at - a.at).Seconds()
}

package agent

import (
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// startSleeping starts a process that does nothing.
func startSleeping(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "100")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd
}

// A process is asked once, again when the rules have changed or it goes by another name, and not after its end.
func TestCensus(t *testing.T) {
	cmd := startSleeping(t)
	asked := map[int]int{}
	c := census{targets: Targets{PIDs: []int{os.Getpid(), cmd.Process.Pid}}, identify: func(pid int, _ uint64) Identity {
		asked[pid]++
		return Identity{Service: "s", OK: true}
	}}
	take := func() map[heapKey]member {
		t.Helper()
		m, err := c.take()
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for range 3 {
		if n := len(take()); n < 2 {
			t.Fatalf("%d members", n)
		}
	}
	if asked[cmd.Process.Pid] != 1 || asked[os.Getpid()] != 1 {
		t.Errorf("asked %v times, want once each", asked)
	}
	c.renew.Store(true)
	take()
	if asked[cmd.Process.Pid] != 2 {
		t.Errorf("asked %v times after a change of rules", asked)
	}
	for key, m := range c.members {
		m.Comm = "another"
		c.members[key] = m
	}
	take()
	if asked[cmd.Process.Pid] != 3 {
		t.Errorf("asked %v times after it had another name", asked)
	}
	cmd.Process.Kill()
	cmd.Wait()
	for key := range take() {
		if key.pid == cmd.Process.Pid {
			t.Error("a process that has ended is a member")
		}
	}
}

// What rules leave out is neither counted nor read; let in, it has a past, which is no allocation of this window.
func TestMemoryWatchRules(t *testing.T) {
	drop := true
	watch := NewMemoryWatch(MemoryWatchOptions{
		Targets: Targets{PIDs: []int{os.Getpid()}}, Heaps: true,
		Identify: func(pid int, _ uint64) Identity {
			return Identity{Service: "me", OK: true, Drop: drop || pid != os.Getpid()}
		},
	})
	defer watch.Close()
	kept := allocateWatched(2)
	read := func() MemoryReading {
		t.Helper()
		published()
		r, err := watch.Read(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	read()
	if r := read(); len(r.Services) != 0 || len(r.Intervals) != 2 || len(r.Intervals[1].Windows) != 0 {
		t.Errorf("left out by a rule: %v, %d windows", r.Services, len(r.Intervals[1].Windows))
	}
	drop = false
	watch.Forget()
	const function = "github.com/ebpfprof/ebpfprof/pkg/agent.allocateWatched"
	r := read()
	if _, windows := allocatedBy(r.Intervals[0], function); windows != 0 {
		t.Error("what it did before is told as of this window")
	}
	if inUse, _ := allocatedBy(r.Intervals[1], function); !blocks(inUse, 2) {
		t.Errorf("%d bytes in use", inUse)
	}
	more := allocateWatched(1)
	if allocated, _ := allocatedBy(read().Intervals[0], function); !blocks(allocated, 1) {
		t.Errorf("%d bytes allocated in the next window", allocated)
	}
	if n := watch.Readings(); n.Failed != 0 || n.Done != 2 {
		t.Errorf("readings %+v", n)
	}
	runtime.KeepAlive(kept)
	runtime.KeepAlive(more)
}

// TestWaitsForParent is the child of the next test: it ends with its standard input.
func TestWaitsForParent(t *testing.T) {
	if flag.Arg(0) == "wait" {
		_, _ = io.Copy(io.Discard, os.Stdin)
	}
}

// Descriptors of processes and programs go with them.
func TestMemoryWatchForgetsTheDead(t *testing.T) {
	if unix.Getuid() != 0 {
		t.Skip("reading another process's memory needs root")
	}
	path := filepath.Join(t.TempDir(), "copy") // another file, so that it is another program
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, self, 0o700); err != nil {
		t.Fatal(err)
	}
	watch := NewMemoryWatch(MemoryWatchOptions{Heaps: true, Targets: Targets{PIDs: []int{os.Getpid()}}})
	defer watch.Close()
	cmd := exec.Command(path, "-test.run=^TestWaitsForParent$", "wait")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	has := func() bool {
		t.Helper()
		if _, err := watch.Read(time.Now()); err != nil {
			t.Fatal(err)
		}
		for key := range watch.heaps.watched {
			if key.pid == cmd.Process.Pid {
				return true
			}
		}
		return false
	}
	end := time.Now().Add(10 * time.Second)
	for !has() && time.Now().Before(end) {
		time.Sleep(10 * time.Millisecond)
	}
	programs := len(watch.heaps.programs)
	cmd.Process.Kill()
	cmd.Wait()
	if has() || programs != 2 || len(watch.heaps.programs) != 1 {
		t.Errorf("of a process that has ended something is kept: %d programs, before %d", len(watch.heaps.programs), programs)
	}
}

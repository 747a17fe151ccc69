package e2e

import (
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/internal/target"
)

// TestNothingLost: with every CPU busy, 999 samples a second and CPU are all delivered.
func TestNothingLost(t *testing.T) {
	needRoot(t)
	seconds := 30
	if testing.Short() {
		seconds = 5
	}
	programs := map[string][]string{
		target.C(t, "threads"):  {strconv.Itoa(runtime.NumCPU()), "90"},
		target.C(t, "syscalls"): {"90"},
		target.C(t, "forker"):   nil,
		target.Go(t, "inlined"): {"90"},
	}
	for path, args := range programs {
		target.Start(t, path, args...)
	}
	r := record(t, "-a", "-F", "999", "-d", strconv.Itoa(seconds)+"s")
	if lost := sum(r.event.Lost); lost != 0 {
		t.Errorf("lost %v", r.event.Lost)
	}
	r.some(t, "samples of busy CPUs", int64(999*seconds*runtime.NumCPU()*9/10), every)
}

// TestReaderStopped: a profiler that does not get to read loses samples, and knows how many.
func TestReaderStopped(t *testing.T) {
	needRoot(t)
	target.Start(t, target.C(t, "threads"), strconv.Itoa(runtime.NumCPU()), "30")
	b := startRecord(t, "-a", "-F", "4999", "--ring-bytes", "65536", "-d", "5s")
	b.sampling(t)
	time.Sleep(500 * time.Millisecond)
	b.signal(t, syscall.SIGSTOP)
	time.Sleep(3 * time.Second)
	b.signal(t, syscall.SIGCONT)
	r := b.wait(t, 0)
	if r.event.Samples == 0 {
		t.Error("no sample delivered")
	}
	// The ring holds a few hundred of the 15,000 of each CPU.
	if lost := sum(r.event.Lost); lost < 10_000 {
		t.Errorf("lost %v, want most of 3 s", r.event.Lost)
	}
	// The clock does not know that nobody reads.
	if want := int64(4999 * 5 * runtime.NumCPU() * 8 / 10); r.event.Fired < want {
		t.Errorf("%d events, want at least %d", r.event.Fired, want)
	}
}

// TestInterrupted: a Ctrl-C ends the recording, not the profile.
func TestInterrupted(t *testing.T) {
	needRoot(t)
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		p := target.Start(t, target.C(t, "split"), "30")
		b := startRecord(t, "-F", "999", "-p", strconv.Itoa(p.PID), "-d", "1h")
		b.sampling(t)
		useCPU(t, p.PID)()
		b.signal(t, sig)
		r := b.wait(t, 0)
		p.Kill()
		r.some(t, "samples of the target", 150, pid(p.PID))
	}
}

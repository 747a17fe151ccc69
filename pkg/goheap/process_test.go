package goheap

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

// TestOpenRefuses: what is no readable Go process, each with its reason.
func TestOpenRefuses(t *testing.T) {
	sleep := exec.Command("sleep", "60")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sleep.Process.Kill(); _ = sleep.Wait() }()
	var cache Cache
	for range 2 { // the second answer is the cache's
		if _, err := Open(Options{PID: sleep.Process.Pid, Cache: &cache}); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "not a Go program") {
			t.Errorf("sleep: %v", err)
		}
	}
	if _, err := Open(Options{PID: 1 << 29}); !errors.Is(err, proc.ErrNoProcess) {
		t.Errorf("no process: %v", err)
	}
	if _, err := Open(Options{PID: 2}); os.Getuid() == 0 && err == nil {
		t.Error("opened a kernel thread")
	}
}

// TestGone: a process that ended, and one that runs another program now.
func TestGone(t *testing.T) {
	path := compile(t, "target", versions()[0], build{})
	x := start(t, path)
	p := x.open(nil)
	x.stop()
	if _, err := p.Heap(); !errors.Is(err, ErrGone) {
		t.Errorf("ended: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := p.Close(); err != nil {
		t.Error("closed twice:", err)
	}
	if _, err := p.Heap(); err == nil {
		t.Error("read after Close")
	}

	// A shell that becomes the target: what was opened before is not the target's.
	self := exec.Command("sh", "-c", "read line; exec "+path)
	in, err := self.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := self.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = self.Process.Kill(); _ = self.Wait() }()
	mem, err := os.Open(filepath.Join("/proc", strconv.Itoa(self.Process.Pid), "mem"))
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	if _, err := in.Write([]byte("go\n")); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if name, _ := os.Readlink(filepath.Join("/proc", strconv.Itoa(self.Process.Pid), "exe")); name == path {
			break
		} else if time.Now().After(deadline) {
			t.Fatal("the shell did not run the target")
		}
	}
	if _, err := newMemory(mem).u64(x.cmdEntry(t, path)); !errors.Is(err, ErrGone) {
		t.Errorf("memory of before: %v", err)
	}
}

// cmdEntry is an address that the target has mapped.
func (x *target) cmdEntry(t *testing.T, path string) uint64 {
	layout, _ := locateTwice(t, path)
	return layout.addrs[memProfileRate]
}

// TestNothingRuns: reading a quiet process a thousand times makes none of its threads
// run for a nanosecond.
func TestNothingRuns(t *testing.T) {
	x := start(t, compile(t, "target", versions()[0], build{}))
	p := x.open(nil)
	var before, after string
	for range 5 { // the runtime's own threads may have something to do now and then
		before = ranFor(t, x.cmd.Process.Pid)
		for range 1000 {
			if _, err := p.Heap(); err != nil {
				t.Fatal(err)
			}
		}
		if after = ranFor(t, x.cmd.Process.Pid); after == before {
			return
		}
	}
	t.Errorf("threads ran for\n%s\nbefore and\n%s\nafter", before, after)
}

// ranFor lists the threads of a process and the nanoseconds that each ran for
// (Documentation/scheduler/sched-stats.rst).
func ranFor(t *testing.T, pid int) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "schedstat"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var all strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(f + ": " + string(b))
	}
	return all.String()
}

// BenchmarkHeap reads a quiet target.
func BenchmarkHeap(b *testing.B) {
	path := filepath.Join(b.TempDir(), "target")
	cmd := exec.Command("go", "build", "-o", path, ".")
	cmd.Dir = "testdata/target"
	if text, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, text)
	}
	for _, args := range [][]string{{"-rate=524288"}, {"-rate=1", "-wide=10"}, {"-rate=1", "-wide=12"}, {"-rate=1", "-wide=14"}} {
		b.Run(strings.Join(args, ""), func(b *testing.B) {
			x := exec.Command(path, args...)
			in, _ := x.StdinPipe()
			out, err := x.StdoutPipe()
			if err != nil {
				b.Fatal(err)
			}
			if err := x.Start(); err != nil {
				b.Fatal(err)
			}
			defer func() { in.Close(); _ = x.Wait() }()
			if _, err := out.Read(make([]byte, 16)); err != nil {
				b.Fatal(err)
			}
			p, err := Open(Options{PID: x.Process.Pid})
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close()
			var h *Heap
			for b.Loop() {
				if h, err = p.Heap(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(h.Buckets), "buckets")
			b.ReportMetric(float64(h.Reads), "reads")
			b.ReportMetric(float64(h.Bytes), "bytes")
		})
	}
}

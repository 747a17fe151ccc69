package loader

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebpfprof/ebpfprof/pkg/loader/perfevent"
)

func lookup(t testing.TB, names ...string) (events []perfevent.Event) {
	t.Helper()
	for _, name := range names {
		e, err := perfevent.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

func openCounting(t testing.TB, o CountingOptions) *Counting {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: loads BPF programs")
	}
	c, err := OpenCounting(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// sum adds the rows up that a function takes.
func sum(n Counted, take func(CountRow) bool) (s CountSet) {
	for _, r := range n.Rows {
		if !take(r) {
			continue
		}
		s.RanNs += r.RanNs
		if s.Counts == nil {
			s.Counts = make([]perfevent.Count, len(r.Counts))
		}
		for i := range r.Counts {
			s.Counts[i] = s.Counts[i].Add(r.Counts[i])
		}
	}
	return s
}

// The kernel's own accounts of a process that faults, sleeps and computes are those of its row.
func TestCountingIsWhatTheKernelSays(t *testing.T) {
	c := openCounting(t, CountingOptions{Events: lookup(t, "page-faults", "context-switches", "task-clock", "minor-faults")})
	cmd := exec.Command("sh", "-c", "i=0; while [ $i -lt 20 ]; do i=$((i+1)); head -c 1000000 /dev/zero | tail -c 1 >/dev/null; done; sleep 0.01")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	n, err := c.Read()
	if err != nil {
		t.Fatal(err)
	}
	// The shell and all that it started: what wait4 has for the one that we waited for, with its children.
	family := map[int]bool{cmd.Process.Pid: true}
	for range 3 {
		for _, r := range n.Rows {
			if family[r.Parent] {
				family[r.TGID] = true
			}
		}
	}
	got := sum(n, func(r CountRow) bool { return family[r.TGID] })
	var usage syscall.Rusage = *cmd.ProcessState.SysUsage().(*syscall.Rusage)
	// Of each exec, one fault is rusage's alone: the kernel writes the arguments to the new stack itself, and perf's
	// event needs user registers (mm_account_fault in mm/memory.c). Twenty times head and tail, the shell, and sleep.
	const execs = 42
	faults, minor := uint64(usage.Minflt+usage.Majflt-execs), uint64(usage.Minflt-execs)
	if got.Counts[0].Value != faults || got.Counts[3].Value != minor {
		t.Errorf("%d page faults, %d of them minor; rusage has %d and %d", got.Counts[0].Value, got.Counts[3].Value, faults, minor)
	}
	// A parent may be told before the last switch of a child.
	switches, slack := uint64(usage.Nvcsw+usage.Nivcsw), uint64(len(family))
	if v := got.Counts[1].Value; v > switches+slack || v+slack < switches {
		t.Errorf("%d context switches, rusage has %d", v, switches)
	}
	for _, count := range got.Counts {
		if count.Running != count.Enabled || count.Enabled != got.RanNs {
			t.Errorf("software events are never multiplexed: %+v of %d ns", count, got.RanNs)
		}
	}
	ran := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	if d := time.Duration(got.Counts[2].Value) - ran; d > ran/5 || d < -ran/5 {
		t.Errorf("task-clock %v, rusage has %v", time.Duration(got.Counts[2].Value), ran)
	}
	gone := 0
	for _, r := range n.Rows {
		if family[r.TGID] && r.Comm != "" && r.StartTicks > 0 {
			gone++
		}
	}
	if gone < 30 {
		t.Errorf("%d rows of the family, want those of 40 short processes", gone)
	}
}

// Nothing that the counters moved by is lost or counted twice: rows, idle time and the rest add up to them.
func TestCountingIsConserved(t *testing.T) {
	for name, o := range map[string]CountingOptions{
		"processes": {}, "threads": {Threads: true}, "full": {Rows: 4},
		"no target": {Filter: Filter{Kind: FilterProcess}},
	} {
		t.Run(name, func(t *testing.T) {
			o.Events = lookup(t, "page-faults", "context-switches", "cpu-migrations")
			c := openCounting(t, o)
			var parts [3]uint64
			var full uint64
			add := func(n Counted) {
				all := sum(n, func(CountRow) bool { return true })
				for i := range parts {
					parts[i] += n.Idle.Counts[i].Value + n.Outside.Counts[i].Value + n.Other.Counts[i].Value
					if all.Counts != nil {
						parts[i] += all.Counts[i].Value
					}
				}
				full += n.Full
				if name == "no target" && len(n.Rows) > 0 {
					t.Errorf("%d rows without a target", len(n.Rows))
				}
				if name == "processes" && n.Skipped == 0 {
					t.Log("no switch between threads of one process")
				}
			}
			for range 3 {
				if err := exec.Command("sh", "-c", "for i in 1 2 3 4 5; do ls / | cat >/dev/null; done").Run(); err != nil {
					t.Fatal(err)
				}
				n, err := c.Read()
				if err != nil {
					t.Fatal(err)
				}
				add(n)
			}
			// Stopped, the counters can be compared.
			var whole [3]uint64
			cpus := 0
			for _, counters := range c.counters {
				cpus++
				for _, counter := range counters {
					if err := unix.IoctlSetInt(counter.FD(), unix.PERF_EVENT_IOC_DISABLE, 0); err != nil {
						t.Fatal(err)
					}
				}
			}
			n, err := c.Read()
			if err != nil {
				t.Fatal(err)
			}
			add(n)
			for _, counters := range c.counters {
				for i, counter := range counters {
					v, err := counter.Read()
					if err != nil {
						t.Fatal(err)
					}
					whole[i] += v.Value
				}
			}
			// A switch is charged before the kernel counts it; the last one of each CPU it may not count any more.
			if parts[0] != whole[0] || parts[2] != whole[2] || parts[1] < whole[1] || parts[1] > whole[1]+uint64(cpus) {
				t.Errorf("parts add up to %d, counters to %d", parts, whole)
			}
			if (full > 0) != (name == "full") {
				t.Errorf("%d slices found no row", full)
			}
			if whole[0] == 0 || whole[1] == 0 {
				t.Errorf("nothing happened: %d", whole)
			}
		})
	}
}

// What runs at the moment of a reading is charged up to it, although it never left its CPU.
func TestCountingFlushes(t *testing.T) {
	c := openCounting(t, CountingOptions{Events: lookup(t, "page-faults"), Threads: true})
	if _, err := c.Read(); err != nil {
		t.Fatal(err)
	}
	const pages = 300
	faulted := make(chan int)
	go func() {
		mem, err := unix.Mmap(-1, 0, pages*os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		if err == nil {
			_ = unix.Madvise(mem, unix.MADV_NOHUGEPAGE)
			for i := 0; i < len(mem); i += os.Getpagesize() {
				mem[i] = 1
			}
		}
		faulted <- unix.Getpid()
		_ = unix.Munmap(mem)
	}()
	pid := <-faulted
	n, err := c.Read()
	if err != nil {
		t.Fatal(err)
	}
	if got := sum(n, func(r CountRow) bool { return r.PID == pid }); len(got.Counts) == 0 || got.Counts[0].Value < pages {
		t.Errorf("%+v after %d page faults", got, pages)
	}
}

// A process of which a number was used again has a row of its own, and rows of processes that have gone are taken away.
func TestCountingForgetsTheDead(t *testing.T) {
	c := openCounting(t, CountingOptions{Events: lookup(t, "page-faults"), Rows: 512})
	for range 8 {
		if err := exec.Command("sh", "-c", "i=0; while [ $i -lt 100 ]; do i=$((i+1)); /bin/true; done").Run(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond) // RCU frees tasks
		n, err := c.Read()
		if err != nil {
			t.Fatal(err)
		}
		if n.Full > 0 {
			t.Fatalf("%d slices found no row", n.Full)
		}
	}
	if len(c.known) > 400 {
		t.Errorf("%d rows are remembered", len(c.known))
	}
}

func TestCountingNamesWhatWasExecuted(t *testing.T) {
	c := openCounting(t, CountingOptions{Events: lookup(t, "page-faults")})
	out, err := exec.Command("sh", "-c", "echo $$; exec tail -c 1 /etc/passwd").Output()
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := bytes.Cut(out, []byte("\n"))
	pid, err := strconv.Atoi(strings.TrimSpace(string(first)))
	if err != nil {
		t.Fatal(err)
	}
	n, err := c.Read()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range n.Rows {
		if r.PID == pid {
			if r.Comm != "tail" {
				t.Errorf("it is called %q", r.Comm)
			}
			return
		}
	}
	t.Error("no row")
}

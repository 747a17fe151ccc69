package guest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Ids of the fake PMU's events: internal/fakepmu/README.md.
const (
	idCycles = iota
	idInstructions
	idReferences
	idMisses
	idBranches
	idBranchMisses
	idBusCycles // never counts by time
	idL1DLoads  = iota + 3
	idL1DMisses
	idLLCLoads
	idLLCMisses
	_
	idL1ILoads
	idL1IMisses
	idCount
)

// A pmuEvent is an event that the fake PMU counts, and its name in ebpfprof.
type pmuEvent struct {
	name   string
	id     int
	kind   uint32
	config uint64
}

const cacheMiss = unix.PERF_COUNT_HW_CACHE_RESULT_MISS << 16

func pmuEvents() []pmuEvent {
	const hardware, cache = unix.PERF_TYPE_HARDWARE, unix.PERF_TYPE_HW_CACHE
	return []pmuEvent{
		{"cycles", idCycles, hardware, unix.PERF_COUNT_HW_CPU_CYCLES},
		{"instructions", idInstructions, hardware, unix.PERF_COUNT_HW_INSTRUCTIONS},
		{"cache-references", idReferences, hardware, unix.PERF_COUNT_HW_CACHE_REFERENCES},
		{"cache-misses", idMisses, hardware, unix.PERF_COUNT_HW_CACHE_MISSES},
		{"branches", idBranches, hardware, unix.PERF_COUNT_HW_BRANCH_INSTRUCTIONS},
		{"branch-misses", idBranchMisses, hardware, unix.PERF_COUNT_HW_BRANCH_MISSES},
		{"L1-dcache-loads", idL1DLoads, cache, unix.PERF_COUNT_HW_CACHE_L1D},
		{"L1-dcache-load-misses", idL1DMisses, cache, unix.PERF_COUNT_HW_CACHE_L1D | cacheMiss},
		{"L1-icache-loads", idL1ILoads, cache, unix.PERF_COUNT_HW_CACHE_L1I},
		{"L1-icache-load-misses", idL1IMisses, cache, unix.PERF_COUNT_HW_CACHE_L1I | cacheMiss},
		{"LLC-loads", idLLCLoads, cache, unix.PERF_COUNT_HW_CACHE_LL},
		{"LLC-load-misses", idLLCMisses, cache, unix.PERF_COUNT_HW_CACHE_LL | cacheMiss},
	}
}

const (
	injectProgram = "/bin/inject"
	pmuParameters = "/sys/module/fakepmu/parameters"
	pmuDevice     = "/dev/fakepmu"
)

// loadPMU loads the module once. Tests start from its defaults: see needPMU.
var loadPMU = sync.OnceValue(func() error {
	f, err := os.Open(os.Getenv("EBPFPROF_FAKEPMU"))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil {
		return fmt.Errorf("load %s: %w", f.Name(), err)
	}
	// A CPU that the host stopped for long has more overflows due than the kernel allows in
	// a tick, 400 by default, and those above are lost.
	return os.WriteFile("/proc/sys/kernel/perf_event_max_sample_rate", []byte("10000000"), 0)
})

// needPMU skips a test where there is no fake PMU.
func needPMU(t *testing.T) {
	t.Helper()
	needGuest(t)
	if os.Getenv("EBPFPROF_FAKEPMU") == "" {
		t.Skip("runs in the guests that have a fake PMU")
	}
	if err := loadPMU(); err != nil {
		t.Fatal(err)
	}
}

// set gives the module a parameter until the test ends.
func set(t *testing.T, name, value string) {
	t.Helper()
	path := filepath.Join(pmuParameters, name)
	old, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, []byte(value), 0)
	}
	if err != nil {
		t.Fatalf("set the fake PMU's %s: %v", name, err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(path, old, 0); err != nil { // ends in a newline, and so is written if empty
			t.Errorf("reset the fake PMU's %s: %v", name, err)
		}
	})
}

// onlyInjected lets nothing count by time.
func onlyInjected(t *testing.T) {
	t.Helper()
	set(t, "rate", strings.TrimSuffix(strings.Repeat("0,", idCount), ","))
}

// A mix is how many events of each id one call injects.
type mix map[int]uint64

func (m mix) String() string {
	var parts []string
	for id := range idCount {
		if m[id] != 0 {
			parts = append(parts, fmt.Sprintf("%d:%d", id, m[id]))
		}
	}
	if parts == nil {
		return "-"
	}
	return strings.Join(parts, ",")
}

// An injector is what a run of internal/target's inject is asked for: thread i, on the
// i-th of CPUs, does (i+1)*Rounds rounds.
type injector struct {
	cpus        string
	rounds      int
	pause       time.Duration
	here, there mix
}

// argv is its command line.
func (i injector) argv() []string {
	return []string{injectProgram, i.cpus, fmt.Sprint(i.rounds), fmt.Sprint(i.pause.Microseconds()),
		i.here.String(), i.there.String()}
}

// sum is what all threads inject of an event.
func (i injector) sum(id int) uint64 {
	threads := uint64(strings.Count(i.cpus, ",") + 1)
	return threads * (threads + 1) / 2 * uint64(i.rounds) * (i.here[id] + i.there[id])
}

// waiting is an injector that has been started and has not begun.
type waiting struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// start runs the program up to where it waits, in a cgroup unless that is "".
func (i injector) start(t *testing.T, cgroup string) *waiting {
	t.Helper()
	argv := append(i.argv(), "wait")
	w := &waiting{cmd: exec.Command(argv[0], argv[1:]...)}
	w.cmd.Stderr = os.Stderr
	in, err := w.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.cmd.Process.Kill() })
	w.in, w.out = in, bufio.NewReader(out)
	if line, err := w.out.ReadString('\n'); line != "ready\n" {
		t.Fatalf("inject said %q, not ready: %v", line, err)
	}
	if cgroup != "" {
		pid := fmt.Sprint(w.cmd.Process.Pid)
		if err := os.WriteFile(filepath.Join(cgroup, "cgroup.procs"), []byte(pid), 0); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// begin lets the program run.
func (w *waiting) begin(t *testing.T) {
	t.Helper()
	if _, err := io.WriteString(w.in, "\n"); err != nil {
		t.Fatal(err)
	}
}

// wait returns when the program has ended.
func (w *waiting) wait(t *testing.T) {
	t.Helper()
	io.Copy(io.Discard, w.out)
	if err := w.cmd.Wait(); err != nil {
		t.Fatalf("inject: %v", err)
	}
}

// newCgroup makes a control group for the test.
func newCgroup(t *testing.T, name string) string {
	t.Helper()
	const top = "/sys/fs/cgroup"
	// Until the first controller is enabled, groups have no perf_event either, which
	// otherwise is in each (cgroup_calc_subtree_ss_mask, kernel/cgroup/cgroup.c).
	err := os.WriteFile(filepath.Join(top, "cgroup.subtree_control"), []byte("+pids"), 0)
	path := filepath.Join(top, name)
	if err := errors.Join(err, os.Mkdir(path, 0o755)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 50 { // its last process may be on its way out
			if err := syscall.Rmdir(path); err == nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	return path
}

// awaitSampling returns when n events of an id are on CPUs: when a profiler that runs
// beside the test has begun.
func awaitSampling(t *testing.T, id, n int) {
	t.Helper()
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		data, err := os.ReadFile(pmuDevice)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			var at, events int
			if _, err := fmt.Sscan(line, &at, &events); err == nil && at == id && events >= n {
				return
			}
		}
	}
	t.Fatalf("no %d events of id %d within %v", n, id, limit)
}

// awaitCounters returns when another process has had n perf events open for a while:
// when a stat that runs beside the test counts.
func awaitCounters(t *testing.T, n int) {
	t.Helper()
	self := fmt.Sprintf("/proc/%d/", os.Getpid())
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		fds, err := filepath.Glob("/proc/[0-9]*/fd/*")
		if err != nil {
			t.Fatal(err)
		}
		open := 0
		for _, fd := range fds {
			if to, err := os.Readlink(fd); err == nil && to == "anon_inode:[perf_event]" && !strings.HasPrefix(fd, self) {
				open++
			}
		}
		if open >= n {
			time.Sleep(500 * time.Millisecond) // to be enabled
			return
		}
	}
	t.Fatalf("no %d counters within %v", n, limit)
}

// A counter is one perf event that counts.
type counter int

// A reading of a counter; times in nanoseconds.
type reading struct{ value, enabled, running uint64 }

// openCounter opens one as perf_event_open(2) does; bits come on top of reading times.
func openCounter(e pmuEvent, bits uint64, pid, cpu, group, flags int) (counter, error) {
	attr := unix.PerfEventAttr{
		Type: e.kind, Config: e.config, Bits: bits,
		Read_format: unix.PERF_FORMAT_TOTAL_TIME_ENABLED | unix.PERF_FORMAT_TOTAL_TIME_RUNNING,
	}
	attr.Size = uint32(unsafe.Sizeof(attr))
	fd, err := unix.PerfEventOpen(&attr, pid, cpu, group, flags|unix.PERF_FLAG_FD_CLOEXEC)
	return counter(fd), err
}

// mustOpen is openCounter for a counter that has to open, until the test ends.
func mustOpen(t *testing.T, e pmuEvent, bits uint64, pid, cpu, group, flags int) counter {
	t.Helper()
	c, err := openCounter(e, bits, pid, cpu, group, flags)
	if err != nil {
		t.Fatalf("open a counter of %s: %v", e.name, err)
	}
	t.Cleanup(func() { unix.Close(int(c)) })
	return c
}

func (c counter) read(t *testing.T) (r reading) {
	t.Helper()
	buf := unsafe.Slice((*byte)(unsafe.Pointer(&r)), unsafe.Sizeof(r))
	if n, err := unix.Read(int(c), buf); err != nil || n != len(buf) {
		t.Fatalf("read a counter: %d bytes, %v", n, err)
	}
	return r
}

// scaled is what would have been counted had the event been on the CPU all the time.
func (r reading) scaled() float64 {
	return float64(r.value) * float64(r.enabled) / float64(r.running)
}

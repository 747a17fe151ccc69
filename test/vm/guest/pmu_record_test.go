package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"golang.org/x/sys/unix"
)

// Record under the fake PMU. Amounts are multiples of the period, so that each CPU's
// counter stands where it began after each injection, and every figure is exact.

const missPeriod = 1000

// missing injects 3000 misses in here and 1000 in there, 250 times.
func missing(cpus string) injector {
	return injector{cpus: cpus, rounds: 250, pause: 500 * time.Microsecond,
		here: mix{idMisses: 3 * missPeriod}, there: mix{idMisses: missPeriod}}
}

// A missRecording has the weights of its samples, too: the misses that they stand for.
type missRecording struct {
	recording
	misses int64
}

// recordMisses records cache misses, one sample for each period, ended as by runUntil.
func recordMisses(t *testing.T, over <-chan struct{}, args ...string) missRecording {
	t.Helper()
	path := filepath.Join(t.TempDir(), "misses.pb.gz")
	r := recordEventUntil(t, over, "cache-misses", append([]string{
		"-e", fmt.Sprintf("cache-misses:%d", missPeriod), "-o", path}, args...)...)
	if r.exit != 0 {
		t.Errorf("exit %d", r.exit)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := profile.Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(p.SampleType, func(v *profile.ValueType) bool { return v.Type == "cache_misses" })
	if at < 0 {
		t.Fatalf("the profile has no cache_misses: %v", p.SampleType)
	}
	m := missRecording{recording: r}
	for _, s := range p.Sample {
		m.misses += s.Value[at]
	}
	return m
}

// checkMisses: as many samples as whole periods, in the functions that injected them.
func checkMisses(t *testing.T, r missRecording, i injector) {
	t.Helper()
	want := int64(i.sum(idMisses)) / missPeriod
	if r.fired != want || r.samples != want {
		t.Errorf("fired %d, samples %d, want %d", r.fired, r.samples, want)
	}
	if r.misses != int64(i.sum(idMisses)) {
		t.Errorf("the profile has %d misses, injected %d", r.misses, i.sum(idMisses))
	}
	for name, share := range map[string]int64{"here": 3, "there": 1} {
		got := r.count(func(s stack) bool { return s.frames[len(s.frames)-1] == name && s.has("work") })
		if got != want*share/4 {
			t.Errorf("%s: %d samples below work, want %d", name, got, want*share/4)
		}
	}
	if t.Failed() {
		for _, s := range r.stacks {
			t.Log(s.count, s.frames)
		}
	}
}

// TestPMURecord: a command on two CPUs, by interrupts and in NMI context.
func TestPMURecord(t *testing.T) {
	needPMU(t)
	onlyInjected(t)
	for _, nmi := range []string{"N", "Y"} {
		t.Run("nmi="+nmi, func(t *testing.T) {
			set(t, "nmi", nmi)
			i := missing("0,1")
			checkMisses(t, recordMisses(t, nil, append([]string{"--"}, i.argv()...)...), i)
		})
	}
}

// TestPMURecordTargets: of two programs that share the CPUs, each is recorded without
// the other, by its number and by its control group.
func TestPMURecordTargets(t *testing.T) {
	needPMU(t)
	onlyInjected(t)
	groups := [2]string{newCgroup(t, "record0"), newCgroup(t, "record1")}
	for n := range 2 {
		t.Run([]string{"process", "cgroup"}[n], func(t *testing.T) {
			wanted, other := missing("0,1"), missing("1,0")
			other.rounds += 100
			running := [2]*waiting{wanted.start(t, groups[n]), other.start(t, groups[1-n])}
			args := []string{"-p", fmt.Sprint(running[0].cmd.Process.Pid)}
			if n == 1 {
				args = []string{"--cgroup", "/" + filepath.Base(groups[n])}
			}
			over, ended := make(chan struct{}), make(chan missRecording, 1)
			go func() { ended <- recordMisses(t, over, args...) }()
			awaitSampling(t, idMisses, 2)
			for _, w := range running {
				w.begin(t)
			}
			for _, w := range running {
				w.wait(t)
			}
			close(over)
			checkMisses(t, <-ended, wanted)
		})
	}
}

// TestPMURecordTotal: what is sampled of a program by time is its rate over the CPU time
// that the scheduler accounts to it, within 2 %. That includes what a switch takes, as the
// counter of a CPU does. The kernel's counter of the process begins and ends within the
// switch: beside a busy host, which stops the guest there rather than elsewhere, it has
// lacked 2 %, and so it is not what tells of ebpfprof.
func TestPMURecordTotal(t *testing.T) {
	needPMU(t)
	w := spinning(time.Second).start(t, "")
	counted := mustOpen(t, pmuEvents()[3], unix.PerfBitInherit, w.cmd.Process.Pid, -1, -1, 0)
	over, ended := make(chan struct{}), make(chan missRecording, 1)
	go func() { ended <- recordMisses(t, over, "-p", fmt.Sprint(w.cmd.Process.Pid)) }()
	awaitSampling(t, idMisses, 2)
	before := accounted(t, w.cmd.Process.Pid)
	w.begin(t)
	w.wait(t)
	close(over)
	r := <-ended
	ran := w.cmd.ProcessState.UserTime() + w.cmd.ProcessState.SystemTime() - before
	near(t, "sampled misses", float64(r.misses), rateOf(t, idMisses)*ran.Seconds(), 0.02)
	t.Logf("the counter of the process has %d", counted.read(t).value)
}

// accounted is the CPU time of a process of one thread so far.
func accounted(t *testing.T, pid int) time.Duration {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	if err != nil {
		t.Fatal(err)
	}
	var ns int64
	if _, err := fmt.Sscan(string(data), &ns); err != nil {
		t.Fatal(err)
	}
	return time.Duration(ns)
}

package guest

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// These tests hold the fake PMU to what it promises, with perf_event_open(2) alone, so
// that a difference in the others is ours.

const self = 0

// spin uses the CPU for a time.
func spin(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
	}
}

// TestPMUEvents: what opens counts, but for the event that never does.
func TestPMUEvents(t *testing.T) {
	needPMU(t)
	runtime.LockOSThread() // which is what the counters are of
	defer runtime.UnlockOSThread()
	moves := func(e pmuEvent) bool {
		c, err := openCounter(e, 0, self, -1, -1, 0)
		if err != nil {
			t.Fatalf("open a counter of %s: %v", e.name, err)
		}
		defer unix.Close(int(c))
		spin(5 * time.Millisecond)
		return c.read(t).value > 0
	}
	for _, e := range pmuEvents() {
		if !moves(e) {
			t.Errorf("%s opens and does not move", e.name)
		}
	}
	if moves(pmuEvent{"bus-cycles", idBusCycles, unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_BUS_CYCLES}) {
		t.Error("bus-cycles moves")
	}
}

// TestPMURefuses: what it does not have, and what the core leaves to a driver.
func TestPMURefuses(t *testing.T) {
	needPMU(t)
	misses := pmuEvents()[3]
	stores := pmuEvent{"LLC-stores", 0, unix.PERF_TYPE_HW_CACHE, unix.PERF_COUNT_HW_CACHE_LL | unix.PERF_COUNT_HW_CACHE_OP_WRITE<<8}
	raw := pmuEvent{"r63", 0, unix.PERF_TYPE_RAW, 0x63}
	for _, c := range []struct {
		event pmuEvent
		bits  uint64
		want  error
	}{
		{stores, 0, unix.ENOENT}, {raw, 0, unix.EINVAL},
		{misses, unix.PerfBitPreciseIPBit1, unix.EOPNOTSUPP}, {misses, unix.PerfBitPreciseIPBit2, unix.EOPNOTSUPP},
	} {
		fd, err := openCounter(c.event, c.bits, self, -1, -1, 0)
		if !errors.Is(err, c.want) {
			t.Errorf("%s with bits %#x: %v, want %v", c.event.name, c.bits, err, c.want)
		}
		if err == nil {
			unix.Close(int(fd))
		}
	}
	set(t, "precise", "1")
	mustOpen(t, misses, unix.PerfBitPreciseIPBit1, self, -1, -1, 0)
	if _, err := openCounter(misses, unix.PerfBitPreciseIPBit2, self, -1, -1, 0); !errors.Is(err, unix.EOPNOTSUPP) {
		t.Errorf("precise_ip 2 where 1 is the most: %v", err)
	}
	set(t, "ncounters", "2")
	leader := mustOpen(t, misses, 0, self, -1, -1, 0)
	mustOpen(t, misses, 0, self, -1, int(leader), 0)
	if _, err := openCounter(misses, 0, self, -1, int(leader), 0); !errors.Is(err, unix.EINVAL) {
		t.Errorf("a group of 3 on 2 counters: %v", err)
	}
}

// TestPMURates: a second of a task is a second of the rates, and the ratios are theirs.
func TestPMURates(t *testing.T) {
	needPMU(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	events := pmuEvents()
	cycles := mustOpen(t, events[0], unix.PerfBitDisabled, self, -1, -1, 0)
	instructions := mustOpen(t, events[1], 0, self, -1, int(cycles), 0)
	unix.IoctlSetInt(int(cycles), unix.PERF_EVENT_IOC_ENABLE, unix.PERF_IOC_FLAG_GROUP)
	spin(300 * time.Millisecond)
	unix.IoctlSetInt(int(cycles), unix.PERF_EVENT_IOC_DISABLE, unix.PERF_IOC_FLAG_GROUP)
	c, i := cycles.read(t), instructions.read(t)
	near(t, "cycles in a nanosecond", float64(c.value)/float64(c.running), 1, 1e-6)
	near(t, "instructions a cycle", float64(i.value)/float64(c.value), 2, 1e-6)
}

// everything injects each event in another amount, from here and from there.
func everything(rounds int, pause time.Duration) injector {
	i := injector{cpus: "0,1", rounds: rounds, pause: pause, here: mix{}, there: mix{}}
	for n, e := range pmuEvents() {
		i.here[e.id], i.there[e.id] = uint64(1000+n), uint64(300+7*n)
	}
	return i
}

// TestPMUInjected: counters of a process, threads included, have what it injected and
// nothing else, though time counts for all others.
func TestPMUInjected(t *testing.T) {
	needPMU(t)
	set(t, "ncounters", "12")
	set(t, "exact", "inject")
	i := everything(200, 0)
	w := i.start(t, "")
	var counters []counter
	for _, e := range pmuEvents() {
		counters = append(counters, mustOpen(t, e, unix.PerfBitInherit, w.cmd.Process.Pid, -1, -1, 0))
	}
	w.begin(t)
	w.wait(t)
	for n, e := range pmuEvents() {
		if r := counters[n].read(t); r.value != i.sum(e.id) || r.enabled != r.running {
			t.Errorf("%s: counted %d in %d of %d ns, injected %d", e.name, r.value, r.running, r.enabled, i.sum(e.id))
		}
	}
}

// TestPMUPlaces: counters of a CPU have what the thread on it injected; counters of a
// control group what its processes did.
func TestPMUPlaces(t *testing.T) {
	needPMU(t)
	onlyInjected(t)
	misses := pmuEvents()[3]
	groups := [2]string{newCgroup(t, "pmu0"), newCgroup(t, "pmu1")}
	programs := [2]injector{
		{cpus: "0,1", rounds: 300, pause: 200 * time.Microsecond, here: mix{idMisses: 1000}},
		{cpus: "1,0", rounds: 500, pause: 100 * time.Microsecond, there: mix{idMisses: 77}},
	}
	var byCPU [2]counter
	var byGroup [2][2]counter
	var running [2]*waiting
	for cpu := range 2 {
		byCPU[cpu] = mustOpen(t, misses, 0, -1, cpu, -1, 0)
		for n, path := range groups {
			fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			byGroup[n][cpu] = mustOpen(t, misses, 0, fd, cpu, -1, unix.PERF_FLAG_PID_CGROUP)
			unix.Close(fd)
		}
	}
	for n := range 2 {
		running[n] = programs[n].start(t, groups[n])
	}
	for n := range 2 {
		running[n].begin(t)
	}
	for n := range 2 {
		running[n].wait(t)
	}
	for cpu, want := range []uint64{300*1000 + 2*500*77, 2*300*1000 + 500*77} {
		if got := byCPU[cpu].read(t).value; got != want {
			t.Errorf("CPU %d: counted %d, injected %d", cpu, got, want)
		}
	}
	for n, i := range programs {
		if got := byGroup[n][0].read(t).value + byGroup[n][1].read(t).value; got != i.sum(idMisses) {
			t.Errorf("control group %d: counted %d, injected %d", n, got, i.sum(idMisses))
		}
	}
}

// TestPMUMultiplexed: three times as many events as counters, and what is scaled up is
// the truth. The truth is by time: what a program injects by and by comes in bursts where
// the host is busy, and then which event is counted at the moment is luck. The module
// counts by the time that the kernel enters as running, so however long the turns are,
// nothing is lost but fractions of an event for each of them. Shares are the host's
// doing: a stop of the CPU is a long turn.
func TestPMUMultiplexed(t *testing.T) {
	needPMU(t)
	set(t, "ncounters", "4")
	w := spinning(time.Second).start(t, "")
	var counters []counter
	for _, e := range pmuEvents() {
		counters = append(counters, mustOpen(t, e, unix.PerfBitInherit, w.cmd.Process.Pid, -1, -1, 0))
	}
	w.begin(t)
	w.wait(t)
	for n, e := range pmuEvents() {
		r := counters[n].read(t)
		near(t, "scaled "+e.name, r.scaled(), rateOf(t, e.id)*float64(r.enabled)/1e9, 0.0001)
		if share := float64(r.running) / float64(r.enabled); share > 0.7 {
			t.Errorf("%s ran %.2f of the time", e.name, share)
		}
	}
}

// spinning injects nothing and uses so much of CPU 0, and twice as much of CPU 1. It goes
// by the clock in few rounds, each of which ends late by what the host was busy at its end.
func spinning(d time.Duration) injector {
	const pause = 10 * time.Millisecond
	return injector{cpus: "0,1", rounds: int(d / pause), pause: pause}
}

// rateOf is what an event counts in a second.
func rateOf(t *testing.T, id int) float64 {
	t.Helper()
	data, err := os.ReadFile(pmuParameters + "/rate")
	if err != nil {
		t.Fatal(err)
	}
	rate, err := strconv.ParseFloat(strings.Split(strings.TrimSpace(string(data)), ",")[id], 64)
	if err != nil {
		t.Fatal(err)
	}
	return rate
}

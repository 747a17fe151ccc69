package probe

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ebpfprof/ebpfprof/pkg/loader/perfevent"
)

// perfSpec is a perf event to try.
type perfSpec struct{ perfevent.Event }

// perfSpecs are the hardware events that the commands count and sample, and those that software counts.
func perfSpecs() []perfSpec {
	var specs []perfSpec
	for _, name := range []string{
		"cpu-clock", "task-clock", "page-faults", "minor-faults", "major-faults", "context-switches", "cpu-migrations",
		"cycles", "instructions", "branches", "branch-misses", "cache-references", "cache-misses",
		"L1-dcache-loads", "L1-dcache-load-misses", "L1-icache-loads", "L1-icache-load-misses",
		"LLC-loads", "LLC-load-misses",
	} {
		e, err := perfevent.Lookup(name)
		if err != nil {
			panic(err) // the names above are in the table
		}
		specs = append(specs, perfSpec{e})
	}
	return specs
}

func eventChecks() []check {
	var checks []check
	for _, spec := range perfSpecs() {
		checks = append(checks, check{Event, spec.Name, func(context.Context) (outcome, error) { return spec.probe() }, ""})
	}
	return checks
}

// quietPeriod is a sampling period that a probe never reaches.
const quietPeriod = 1 << 40

// probe opens the event for sampling on a whole CPU, as the profiler does,
// after learning from an event on this thread alone, which needs the least
// privilege, whether it exists, can sample, and counts anything.
func (s perfSpec) probe() (outcome, error) {
	// Events of pid 0 follow the thread that opened them.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	attr := unix.PerfEventAttr{Type: s.Type, Config: s.Config, Sample: quietPeriod}
	own, err := openPerf(attr, 0, -1)
	if denied(err) {
		attr.Bits |= unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv
		own, err = openPerf(attr, 0, -1)
	}
	var o outcome
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.EINVAL) {
		// A PMU without an overflow interrupt can still count.
		attr.Sample = 0
		if own, err = openPerf(attr, 0, -1); err == nil {
			o.countOnly, o.detail = true, "counts, but cannot sample: this PMU has no overflow interrupt"
		}
	}
	if err != nil {
		return outcome{}, err
	}
	defer own.Close()
	if s.alwaysMoves() {
		if err := own.moves(); err != nil {
			return outcome{}, err
		}
	}

	cpu, err := allowedCPU()
	if err != nil {
		return o, err
	}
	attr.Bits &^= unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv
	wide, err := openPerf(attr, -1, cpu)
	if denied(err) {
		return outcome{detail: "for this user's own processes only"}, err
	} else if err != nil {
		return o, fmt.Errorf("on cpu %d: %w", cpu, err)
	}
	wide.Close()
	return o, nil
}

func denied(err error) bool {
	return errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM)
}

// alwaysMoves tells events that no computation is without. Misses, and loads
// that reach the last level, may really be rare.
func (s perfSpec) alwaysMoves() bool {
	switch s.Name {
	case "cycles", "instructions", "cache-references", "L1-dcache-loads", "L1-icache-loads":
		return true
	}
	return false
}

// moves finds out counters that hypervisors and emulators offer and that then
// stay at zero for ever. Such a zero is no measurement.
func (e perfEvent) moves() error {
	if err := e.enable(); err != nil {
		return err
	}
	churn()
	count, running, err := e.read()
	switch {
	case err != nil:
		return err
	case running == 0:
		return fmt.Errorf("opens, but gets no counter of the PMU: %w", syscall.EBUSY)
	case count == 0:
		return fmt.Errorf("opens, but counts nothing: %w", syscall.ENODEV)
	}
	return nil
}

// churn touches fresh memory in an unpredictable order for about a
// millisecond, so that there are loads at every level.
//
//go:noinline
func churn() uint64 {
	const size = 4 << 20
	buf := make([]byte, size)
	seed, sum := uint64(88172645463325252), uint64(0)
	for range 100_000 {
		seed ^= seed << 13
		seed ^= seed >> 7
		seed ^= seed << 17
		if b := &buf[seed%size]; seed&1 == 0 {
			*b++
		} else {
			sum += uint64(*b)
		}
	}
	return sum
}

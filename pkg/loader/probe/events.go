package probe

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// perfSpec names a perf event as perf(1) and our -e flag do.
type perfSpec struct {
	name   string
	typ    uint32
	config uint64
}

// cacheEvent encodes PERF_TYPE_HW_CACHE, see perf_event_open(2).
func cacheEvent(cache, result uint64) uint64 {
	return cache | unix.PERF_COUNT_HW_CACHE_OP_READ<<8 | result<<16
}

func perfSpecs() []perfSpec {
	const (
		sw, hw, hc = unix.PERF_TYPE_SOFTWARE, unix.PERF_TYPE_HARDWARE, unix.PERF_TYPE_HW_CACHE
		l1d        = unix.PERF_COUNT_HW_CACHE_L1D
		l1i        = unix.PERF_COUNT_HW_CACHE_L1I
		llc        = unix.PERF_COUNT_HW_CACHE_LL
		access     = unix.PERF_COUNT_HW_CACHE_RESULT_ACCESS
		miss       = unix.PERF_COUNT_HW_CACHE_RESULT_MISS
	)
	return []perfSpec{
		{"cpu-clock", sw, unix.PERF_COUNT_SW_CPU_CLOCK},
		{"page-faults", sw, unix.PERF_COUNT_SW_PAGE_FAULTS},
		{"context-switches", sw, unix.PERF_COUNT_SW_CONTEXT_SWITCHES},
		{"cycles", hw, unix.PERF_COUNT_HW_CPU_CYCLES},
		{"instructions", hw, unix.PERF_COUNT_HW_INSTRUCTIONS},
		{"branch-misses", hw, unix.PERF_COUNT_HW_BRANCH_MISSES},
		{"cache-references", hw, unix.PERF_COUNT_HW_CACHE_REFERENCES},
		{"cache-misses", hw, unix.PERF_COUNT_HW_CACHE_MISSES},
		{"L1-dcache-loads", hc, cacheEvent(l1d, access)},
		{"L1-dcache-load-misses", hc, cacheEvent(l1d, miss)},
		{"L1-icache-loads", hc, cacheEvent(l1i, access)},
		{"L1-icache-load-misses", hc, cacheEvent(l1i, miss)},
		{"LLC-loads", hc, cacheEvent(llc, access)},
		{"LLC-load-misses", hc, cacheEvent(llc, miss)},
	}
}

func eventChecks() []check {
	var checks []check
	for _, spec := range perfSpecs() {
		checks = append(checks, check{Event, spec.name, func(context.Context) (outcome, error) { return spec.probe() }, ""})
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

	attr := unix.PerfEventAttr{Type: s.typ, Config: s.config, Sample: quietPeriod}
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
	switch s.name {
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

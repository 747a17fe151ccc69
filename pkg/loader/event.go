package loader

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// An Event is one perf event, sampled by frequency or by period.
type Event struct {
	Name      string
	Type      uint32 // PERF_TYPE_*
	Config    uint64
	Frequency uint64 // samples a second and CPU
	Period    uint64 // events for each sample; excludes Frequency
}

// Limits of the kernel's own (kernel.perf_event_max_sample_rate is 100,000 at most by default).
const maxFrequency = 100_000

// DefaultFrequency of sampling, in Hz. Not 100: a timer of the program that fires every 10 ms would be seen
// always, or never, at the same point of its work; 99 drifts against every round number.
const DefaultFrequency = 99

// CPUClock is the event "cpu": the time for which a CPU runs something, by the kernel's own clock.
func CPUClock(hz uint64) Event {
	return Event{Name: "cpu", Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_CPU_CLOCK, Frequency: hz}
}

func (e Event) isClock() bool {
	return e.Type == unix.PERF_TYPE_SOFTWARE && e.Config == unix.PERF_COUNT_SW_CPU_CLOCK
}

func (e Event) validate() error {
	switch {
	case e.Frequency == 0 && e.Period == 0:
		return fmt.Errorf("event %s: neither frequency nor period", e.Name)
	case e.Frequency != 0 && e.Period != 0:
		return fmt.Errorf("event %s: both frequency and period", e.Name)
	case e.isTracepoint() && e.Frequency != 0:
		return fmt.Errorf("event %s: a tracepoint has no frequency; write %s:PERIOD", e.Name, e.Name)
	case e.Frequency > maxFrequency:
		return fmt.Errorf("event %s: %d Hz is above the kernel's limit of %d", e.Name, e.Frequency, maxFrequency)
	}
	return nil
}

// attr asks for an event whose samples are precise to a level (precise_ip of perf_event_open(2), 0 to 2).
func (e Event) attr(precise int) unix.PerfEventAttr {
	a := unix.PerfEventAttr{Type: e.Type, Config: e.Config, Bits: unix.PerfBitDisabled | uint64(precise)*unix.PerfBitPreciseIPBit1}
	a.Size = unix.PERF_ATTR_SIZE_VER1
	if precise > 0 {
		// bpf_get_stack() needs the event's own call chain then, or programs are refused (5d99cb2c86775, 5.9).
		a.Sample_type = unix.PERF_SAMPLE_CALLCHAIN
	}
	if e.Frequency != 0 {
		a.Sample = e.Frequency
		a.Bits |= unix.PerfBitFreq
	} else {
		a.Sample = e.Period
	}
	return a
}

// Clock reports whether the event counts nanoseconds.
func (e Event) Clock() bool {
	return e.isClock() || e.Type == unix.PERF_TYPE_SOFTWARE && e.Config == unix.PERF_COUNT_SW_TASK_CLOCK
}

// IsTime reports whether a sample stands for CPU time, 1 s / Frequency of it.
func (e Event) IsTime() bool { return e.isClock() && e.Frequency != 0 }

// isFault reports whether the event never hits an idle CPU.
func (e Event) isFault() bool {
	if e.Type != unix.PERF_TYPE_SOFTWARE {
		return false
	}
	switch e.Config {
	case unix.PERF_COUNT_SW_PAGE_FAULTS, unix.PERF_COUNT_SW_PAGE_FAULTS_MIN, unix.PERF_COUNT_SW_PAGE_FAULTS_MAJ:
		return true
	}
	return false
}

func (e Event) isTracepoint() bool { return e.Type == unix.PERF_TYPE_TRACEPOINT }

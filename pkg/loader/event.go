package loader

import (
	"errors"
	"fmt"
	"os"
	"sync"

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
	case e.Frequency > maxFrequency:
		return fmt.Errorf("event %s: %d Hz is above the kernel's limit of %d", e.Name, e.Frequency, maxFrequency)
	}
	return nil
}

func (e Event) attr() unix.PerfEventAttr {
	a := unix.PerfEventAttr{Type: e.Type, Config: e.Config, Bits: unix.PerfBitDisabled}
	a.Size = unix.PERF_ATTR_SIZE_VER1
	if e.Frequency != 0 {
		a.Sample = e.Frequency
		a.Bits |= unix.PerfBitFreq
	} else {
		a.Sample = e.Period
	}
	return a
}

// cpuEvents holds the event of every CPU that is online. Safe for concurrent use.
type cpuEvents struct {
	event  Event
	progFD int
	mu     sync.Mutex
	fds    map[int]int // CPU -> perf event; nil after Close
	most   int         // CPUs that had one at once
}

func newCPUEvents(e Event, progFD int) *cpuEvents {
	return &cpuEvents{event: e, progFD: progFD, fds: map[int]int{}}
}

// sync opens events on CPUs that came and closes those of CPUs that went.
func (c *cpuEvents) sync() error {
	cpus, err := onlineCPUs()
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fds == nil {
		return nil
	}
	online := map[int]bool{}
	for _, cpu := range cpus {
		online[cpu] = true
		if _, ok := c.fds[cpu]; ok {
			continue
		}
		fd, err := c.open(cpu)
		if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) {
			continue // went offline in between
		}
		if err != nil {
			return err
		}
		c.fds[cpu] = fd
	}
	for cpu, fd := range c.fds {
		if !online[cpu] {
			unix.Close(fd)
			delete(c.fds, cpu)
		}
	}
	c.most = max(c.most, len(c.fds))
	return nil
}

func (c *cpuEvents) open(cpu int) (int, error) {
	a := c.event.attr()
	fd, err := unix.PerfEventOpen(&a, -1, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return 0, fmt.Errorf("%w: open event %s on CPU %d: %w", ErrKernel, c.event.Name, cpu, err)
	}
	if err := unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_SET_BPF, c.progFD); err != nil {
		unix.Close(fd)
		return 0, fmt.Errorf("%w: attach program to event %s on CPU %d: %w", ErrKernel, c.event.Name, cpu, err)
	}
	if err := unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_ENABLE, 0); err != nil {
		unix.Close(fd)
		return 0, fmt.Errorf("enable event %s on CPU %d: %w", c.event.Name, cpu, err)
	}
	return fd, nil
}

// forget closes the event of a CPU, for one that went and came back between two looks.
func (c *cpuEvents) forget(cpu int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if fd, ok := c.fds[cpu]; ok {
		unix.Close(fd)
		delete(c.fds, cpu)
	}
}

// count is the largest number of CPUs that had an event at once.
func (c *cpuEvents) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.most
}

// Close ends all events: when it returns, none fires any more.
func (c *cpuEvents) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, fd := range c.fds {
		unix.Close(fd)
	}
	c.fds = nil
	return nil
}

const onlineCPUsPath = "/sys/devices/system/cpu/online"

func onlineCPUs() ([]int, error) {
	b, err := os.ReadFile(onlineCPUsPath)
	if err != nil {
		return nil, fmt.Errorf("read online CPUs: %w", err)
	}
	return parseCPUList(string(b))
}

// Clock reports whether the event counts nanoseconds.
func (e Event) Clock() bool {
	return e.isClock() || e.Type == unix.PERF_TYPE_SOFTWARE && e.Config == unix.PERF_COUNT_SW_TASK_CLOCK
}

// IsTime reports whether a sample stands for CPU time, 1 s / Frequency of it.
func (e Event) IsTime() bool { return e.isClock() && e.Frequency != 0 }

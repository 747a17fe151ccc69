package loader

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// cpuEvents holds the event of every CPU that is online; of a tracepoint, one for all. Safe for concurrent use.
type cpuEvents struct {
	event   Event
	program *ebpf.Program
	mu      sync.Mutex
	fds     map[int]int    // CPU -> perf event; nil after Close
	before  map[int]uint64 // CPU -> counted by events that are closed
	most    int            // CPUs that had one at once
	precise int            // precise_ip of all; not known yet while there was no event
}

func newCPUEvents(e Event, p *ebpf.Program) *cpuEvents {
	c := &cpuEvents{event: e, program: p, fds: map[int]int{}, before: map[int]uint64{}}
	// Drivers of other machines do not look at it, and so would seem to grant it.
	if e.Hardware() && runtime.GOARCH == "amd64" {
		c.precise = maxPrecise
	}
	return c
}

// maxPrecise asks for no skid (perf_event_open(2)): 3 may also change which instruction is meant.
const maxPrecise = 2

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
	c.most = max(c.most, len(cpus))
	if c.event.hasPrograms() {
		return nil // which hang elsewhere
	}
	if c.event.isTracepoint() {
		// Its program runs on every CPU as long as one event has it, whatever becomes of that event's CPU.
		if len(c.fds) > 0 {
			return nil
		}
		cpus = cpus[:1]
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
	for cpu := range c.fds {
		if !online[cpu] {
			c.end(cpu)
		}
	}
	return nil
}

// open opens the event as precise as this machine can, and with its program; that it cannot is told by many errors.
func (c *cpuEvents) open(cpu int) (int, error) {
	for {
		fd, err := c.openAt(cpu, c.precise)
		if err == nil || c.precise == 0 || len(c.fds) > 0 {
			return fd, err
		}
		c.precise--
	}
}

func (c *cpuEvents) openAt(cpu, precise int) (int, error) {
	a := c.event.attr(precise)
	fd, err := unix.PerfEventOpen(&a, -1, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return 0, fmt.Errorf("%w: open event %s on CPU %d: %w", ErrKernel, c.event.Name, cpu, err)
	}
	if err := unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_SET_BPF, c.program.FD()); err != nil {
		unix.Close(fd)
		return 0, fmt.Errorf("%w: attach program to event %s on CPU %d: %w", ErrKernel, c.event.Name, cpu, err)
	}
	if err := unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_ENABLE, 0); err != nil {
		unix.Close(fd)
		return 0, fmt.Errorf("enable event %s on CPU %d: %w", c.event.Name, cpu, err)
	}
	return fd, nil
}

// end closes the event of a CPU. mu is held.
func (c *cpuEvents) end(cpu int) {
	fd, ok := c.fds[cpu]
	if !ok {
		return
	}
	_ = unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_DISABLE, 0) // of an open event it cannot fail
	c.before[cpu] += readCount(fd)
	unix.Close(fd)
	delete(c.fds, cpu)
}

// forget closes the event of a CPU, for one that went and came back between two looks.
func (c *cpuEvents) forget(cpu int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.event.isTracepoint() {
		c.end(cpu)
	}
}

// count is the largest number of CPUs that had an event at once.
func (c *cpuEvents) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.most
}

// precision is the precise_ip that the events were opened with.
func (c *cpuEvents) precision() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.precise
}

// counted is what the kernel counted so far, by CPU.
func (c *cpuEvents) counted() map[int]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	sum := make(map[int]uint64, len(c.fds)+len(c.before))
	for cpu, n := range c.before {
		sum[cpu] += n
	}
	for cpu, fd := range c.fds {
		sum[cpu] += readCount(fd)
	}
	return sum
}

// Close ends all events: when it returns, none fires any more.
func (c *cpuEvents) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for cpu := range c.fds {
		c.end(cpu)
	}
	c.fds = nil
	return nil
}

// readCount is 0 for an event that cannot be read, such as one that the kernel has in an error state.
func readCount(fd int) uint64 {
	var b [8]byte
	if n, err := unix.Read(fd, b[:]); err != nil || n != len(b) {
		return 0
	}
	return binary.NativeEndian.Uint64(b[:])
}

const onlineCPUsPath = "/sys/devices/system/cpu/online"

func onlineCPUs() ([]int, error) {
	b, err := os.ReadFile(onlineCPUsPath)
	if err != nil {
		return nil, fmt.Errorf("read online CPUs: %w", err)
	}
	return parseCPUList(string(b))
}

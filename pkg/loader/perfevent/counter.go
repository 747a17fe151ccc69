package perfevent

import (
	"encoding/binary"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Counter is an open perf event.
type Counter struct{ fd int }

// Open opens a disabled event; pid and cpu are those of perf_event_open(2). leader is the first event of the group, nil
// for an event on its own.
func Open(attr unix.PerfEventAttr, pid, cpu int, leader *Counter) (Counter, error) {
	attr.Size = uint32(unsafe.Sizeof(attr))
	attr.Bits |= unix.PerfBitDisabled
	attr.Read_format = unix.PERF_FORMAT_TOTAL_TIME_ENABLED | unix.PERF_FORMAT_TOTAL_TIME_RUNNING
	group := -1
	if leader != nil {
		group = leader.fd
		attr.Bits &^= unix.PerfBitDisabled // the leader is
	}
	fd, err := unix.PerfEventOpen(&attr, pid, cpu, group, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return Counter{}, os.NewSyscallError("perf_event_open", err)
	}
	return Counter{fd}, nil
}

// Close ends the event.
func (c Counter) Close() { unix.Close(c.fd) }

// FD is the event's descriptor, which stays the counter's.
func (c Counter) FD() int { return c.fd }

// Attach lets the program prog run at each overflow, and starts the event.
func (c Counter) Attach(prog int) error {
	if err := unix.IoctlSetInt(c.fd, unix.PERF_EVENT_IOC_SET_BPF, prog); err != nil {
		return fmt.Errorf("set program of perf event: %w", err)
	}
	return c.Enable()
}

// Enable starts the event, and those that it leads.
func (c Counter) Enable() error {
	if err := unix.IoctlSetInt(c.fd, unix.PERF_EVENT_IOC_ENABLE, 0); err != nil {
		return fmt.Errorf("enable perf event: %w", err)
	}
	return nil
}

// A Count is what an event counted while it was on the PMU, for Running of the Enabled nanoseconds.
type Count struct{ Value, Enabled, Running uint64 }

// Add sums two counts of one event.
func (c Count) Add(d Count) Count {
	return Count{c.Value + d.Value, c.Enabled + d.Enabled, c.Running + d.Running}
}

// Sub is what was counted since an earlier reading.
func (c Count) Sub(d Count) Count {
	return Count{c.Value - d.Value, c.Enabled - d.Enabled, c.Running - d.Running}
}

// Scaled estimates what there was to count all the time. Without multiplexing it is Value itself. ok is false if the
// event never was on the PMU although there was something to count: then nothing is known.
func (c Count) Scaled() (value float64, ok bool) {
	switch {
	case c.Running >= c.Enabled:
		return float64(c.Value), true
	case c.Running == 0:
		return 0, false
	}
	return float64(c.Value) * (float64(c.Enabled) / float64(c.Running)), true
}

// Ratio is the part of the time for which the event was on the PMU, 1 without multiplexing.
func (c Count) Ratio() float64 {
	if c.Running >= c.Enabled {
		return 1
	}
	return float64(c.Running) / float64(c.Enabled)
}

// Read returns the count so far; of an event that is inherited, with those of the children.
func (c Counter) Read() (Count, error) {
	var buf [24]byte // struct read_format: value, time_enabled, time_running
	if n, err := unix.Read(c.fd, buf[:]); err != nil || n != len(buf) {
		return Count{}, fmt.Errorf("read perf event: %d bytes: %w", n, err)
	}
	return Count{
		binary.NativeEndian.Uint64(buf[0:]), binary.NativeEndian.Uint64(buf[8:]), binary.NativeEndian.Uint64(buf[16:]),
	}, nil
}

// Attr is what perf_event_open takes for counting the event.
func (e Event) Attr() unix.PerfEventAttr { return unix.PerfEventAttr{Type: e.Type, Config: e.Config} }

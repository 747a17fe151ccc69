package probe

import (
	"encoding/binary"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// perfEvent is an open perf event.
type perfEvent struct{ fd int }

// openPerf opens a disabled event; pid and cpu are those of perf_event_open(2).
func openPerf(attr unix.PerfEventAttr, pid, cpu int) (perfEvent, error) {
	attr.Size = uint32(unsafe.Sizeof(attr))
	attr.Bits |= unix.PerfBitDisabled
	attr.Read_format = unix.PERF_FORMAT_TOTAL_TIME_ENABLED | unix.PERF_FORMAT_TOTAL_TIME_RUNNING
	fd, err := unix.PerfEventOpen(&attr, pid, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return perfEvent{}, os.NewSyscallError("perf_event_open", err)
	}
	return perfEvent{fd}, nil
}

func (e perfEvent) Close() { unix.Close(e.fd) }

// attach lets the program prog run at each overflow, and starts the event.
func (e perfEvent) attach(prog int) error {
	if err := unix.IoctlSetInt(e.fd, unix.PERF_EVENT_IOC_SET_BPF, prog); err != nil {
		return fmt.Errorf("set program of perf event: %w", err)
	}
	return e.enable()
}

func (e perfEvent) enable() error {
	if err := unix.IoctlSetInt(e.fd, unix.PERF_EVENT_IOC_ENABLE, 0); err != nil {
		return fmt.Errorf("enable perf event: %w", err)
	}
	return nil
}

// read returns the count and how long the event was on the PMU, in ns.
func (e perfEvent) read() (count, running uint64, err error) {
	var buf [24]byte // struct read_format: value, time_enabled, time_running
	if n, err := unix.Read(e.fd, buf[:]); err != nil || n != len(buf) {
		return 0, 0, fmt.Errorf("read perf event: %d bytes: %w", n, err)
	}
	return binary.NativeEndian.Uint64(buf[0:]), binary.NativeEndian.Uint64(buf[16:]), nil
}

// allowedCPU is an online CPU on which this process may run. CPU 0 need not be.
func allowedCPU() (int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return 0, os.NewSyscallError("sched_getaffinity", err)
	}
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			return cpu, nil
		}
	}
	return 0, nil
}

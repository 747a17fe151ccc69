package perfevent

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// An Ability is what this machine can do with an event.
type Ability struct {
	CountOnly bool   // it counts, but cannot sample
	Detail    string // "" or a short phrase
}

// quietPeriod is a sampling period that a try never reaches.
const quietPeriod = 1 << 40

// Try finds out whether an event can be counted, and sampled, by doing it: it opens the event on a whole CPU, as the
// profiler does, after learning from an event on this thread alone, which needs the least privilege, whether it
// exists, can sample, and counts anything. It takes up to a millisecond of CPU time.
func Try(e Event) (Ability, error) {
	// Events of pid 0 follow the thread that opened them.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	attr := e.Attr()
	attr.Sample = quietPeriod
	own, err := Open(attr, 0, -1, nil)
	if denied(err) {
		attr.Bits |= unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv
		own, err = Open(attr, 0, -1, nil)
	}
	var a Ability
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.EINVAL) {
		// A PMU without an overflow interrupt can still count.
		attr.Sample = 0
		if own, err = Open(attr, 0, -1, nil); err == nil {
			a = Ability{true, "counts, but cannot sample: this PMU has no overflow interrupt"}
		}
	}
	if err != nil {
		return Ability{}, err
	}
	defer own.Close()
	if e.alwaysMoves() {
		if err := own.moves(); err != nil {
			return Ability{}, err
		}
	}
	cpu, err := AllowedCPU()
	if err != nil {
		return a, err
	}
	attr.Bits &^= unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv
	wide, err := Open(attr, -1, cpu, nil)
	if denied(err) {
		return Ability{Detail: "for this user's own processes only"}, err
	} else if err != nil {
		return a, fmt.Errorf("on cpu %d: %w", cpu, err)
	}
	wide.Close()
	return a, nil
}

func denied(err error) bool {
	return errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM)
}

// alwaysMoves tells events that no computation is without. Misses, and loads
// that reach the last level, may really be rare.
func (e Event) alwaysMoves() bool {
	switch alias(e.Name) {
	case "cpu", "cpu-clock", "task-clock", "page-faults", "minor-faults",
		"cycles", "instructions", "branches", "cache-references", "L1-dcache-loads", "L1-icache-loads":
		return true
	}
	return false
}

// errFrozen is a counter that opens and then stays at zero for ever, as hypervisors and emulators offer. Such a zero is
// no measurement.
var errFrozen = fmt.Errorf("opens, but counts nothing: %w", syscall.ENODEV)

func (c Counter) moves() error {
	if err := c.Enable(); err != nil {
		return err
	}
	churn()
	n, err := c.Read()
	switch {
	case err != nil:
		return err
	case n.Running == 0:
		return fmt.Errorf("opens, but gets no counter of the PMU: %w", syscall.EBUSY)
	case n.Value == 0:
		return errFrozen
	}
	return nil
}

// churn touches fresh memory in an unpredictable order for about a
// millisecond, so that there are loads at every level, and page faults.
//
//go:noinline
func churn() uint64 {
	const size = 4 << 20
	buf, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		buf = make([]byte, size)
	} else {
		defer unix.Munmap(buf)
	}
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

// AllowedCPU is an online CPU on which this process may run. CPU 0 need not be.
func AllowedCPU() (int, error) {
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

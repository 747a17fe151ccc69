package perfevent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// An UnsupportedError says in words why this machine cannot count an event.
type UnsupportedError struct {
	Event   string
	Reason  string // such as "no hardware PMU: the hypervisor passes none through"
	Instead string // an event that can be had, "" if there is none
	err     error
}

func (e *UnsupportedError) Error() string {
	s := "event " + e.Event + ": " + e.Reason
	if e.Instead != "" {
		s += "; use " + e.Instead
	}
	return s
}

func (e *UnsupportedError) Unwrap() error { return e.err }

// Unsupported explains the error of Open or Try, for an event that is to be counted.
func Unsupported(e Event, err error) *UnsupportedError { return unsupported(e, err, machine{"/"}) }

// CanSample finds out, by doing it, whether this machine can sample an event on every CPU.
//
// Errors: *UnsupportedError.
func CanSample(e Event) error {
	a, err := Try(e)
	if err == nil && a.CountOnly {
		err = fmt.Errorf("%s: %w", a.Detail, syscall.EOPNOTSUPP)
	} else if err == nil {
		return nil
	}
	u := Unsupported(e, err)
	if a.CountOnly {
		u.Reason = a.Detail
	}
	if u.Instead != "" {
		u.Instead = e.sampleInstead()
	}
	return u
}

// sampleInstead is the nearest that can be sampled without a PMU.
func (e Event) sampleInstead() string {
	if e.Type == unix.PERF_TYPE_HW_CACHE || strings.HasPrefix(e.Name, "cache-") {
		return "-e cpu for where time goes, or -e page-faults for where memory is first touched"
	}
	return "-e cpu, which samples time by the kernel's clock"
}

// A machine is where to look for what the kernel knows of the processor: root is "/" but for tests.
type machine struct{ root string }

func unsupported(e Event, err error, m machine) *UnsupportedError {
	u := &UnsupportedError{Event: e.Name, Instead: e.instead(), err: err}
	var missing bool
	for _, errno := range []error{syscall.ENOENT, syscall.ENODEV, syscall.ENXIO, syscall.EOPNOTSUPP, syscall.EINVAL} {
		missing = missing || errors.Is(err, errno)
	}
	switch {
	case denied(err):
		u.Reason = "not permitted: it needs root, or CAP_PERFMON, or a lower kernel.perf_event_paranoid"
		u.Instead = ""
	case errors.Is(err, errFrozen):
		u.Reason = "the counter opens and never moves, as of a hypervisor that only pretends to have one"
	case errors.Is(err, syscall.EBUSY):
		u.Reason = "another user holds the counters of the PMU that it needs"
	case e.Hardware() && missing && !m.hasPMU() && m.virtual():
		u.Reason = "no hardware PMU: the hypervisor passes none through"
	case e.Hardware() && missing && !m.hasPMU():
		u.Reason = "no hardware PMU"
	case e.Hardware() && missing:
		u.Reason = "this CPU's PMU does not count it"
	case missing:
		u.Reason = "this kernel does not count it"
	default:
		u.Reason = err.Error()
	}
	return u
}

// instead is what tells something similar and needs no PMU.
func (e Event) instead() string {
	switch name := alias(e.Name); {
	case !e.Hardware():
		return ""
	case strings.Contains(name, "cache") || strings.HasPrefix(name, "LLC") || strings.Contains(name, "TLB"):
		return "page-faults"
	}
	return "task-clock"
}

// hasPMU reports whether the kernel drives a PMU of a processor: all but arm's are called cpu, or cpu_core and cpu_atom.
func (m machine) hasPMU() bool {
	for _, pattern := range []string{"cpu", "cpu_*", "arm*", "riscv*"} {
		if found, _ := filepath.Glob(filepath.Join(m.root, "sys/bus/event_source/devices", pattern)); len(found) > 0 {
			return true
		}
	}
	return false
}

// virtual reports whether the processor says that a hypervisor is below it, or the firmware names one.
func (m machine) virtual() bool {
	info, _ := os.ReadFile(filepath.Join(m.root, "proc/cpuinfo"))
	for line := range strings.Lines(string(info)) {
		if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "flags" {
			return strings.Contains(" "+strings.TrimSpace(value)+" ", " hypervisor ")
		}
	}
	vendor, _ := os.ReadFile(filepath.Join(m.root, "sys/class/dmi/id/sys_vendor"))
	for _, v := range []string{"QEMU", "KVM", "Amazon EC2", "Google", "VMware", "Xen", "Microsoft Corporation"} {
		if strings.HasPrefix(string(vendor), v) {
			return true
		}
	}
	return false
}

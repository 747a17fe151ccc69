// Package probe finds out what this kernel lets this process do, by doing it:
// every hook is loaded and attached, every counter opened. It asks no version
// number, because vendors backport, remove and forbid.
package probe

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// Status is the outcome of one probe.
type Status string

const (
	// OK: it works for this process, now.
	OK Status = "ok"
	// Missing: this kernel does not have it; privileges would not help.
	Missing Status = "missing"
	// Denied: the kernel refused. Lacking capabilities, a seccomp filter,
	// lockdown and vendor policies all look like this.
	Denied Status = "denied"
	// Unknown: the probe failed in another way, or gave no answer in time.
	Unknown Status = "unknown"
)

// Kind groups the results.
type Kind string

const (
	Hook    Kind = "hook"    // a place where a program can be attached
	Map     Kind = "map"     // a map type
	Helper  Kind = "helper"  // a function that a program may call
	Event   Kind = "event"   // a perf event
	Feature Kind = "feature" // anything else
)

// Result is the outcome of one probe. Name is stable and unique within Kind.
// Detail is empty or one short phrase. Err is nil if and only if Status is OK.
type Result struct {
	Kind      Kind
	Name      string
	Status    Status
	CountOnly bool // an Event that counts, but cannot sample
	Detail    string
	Err       error
}

// errSilent is a hook that attached without an error but never ran.
var errSilent = errors.New("attached, but never fired")

// enotsupp is the kernel's internal ENOTSUPP, which leaks to user space, for
// instance from attaching fentry on arm64 before 6.4.
const enotsupp = syscall.Errno(524)

// classify turns the error of an attempt into a status.
func classify(err error) Status {
	var verr *ebpf.VerifierError
	rejected := errors.As(err, &verr) && len(verr.Log) > 0
	switch {
	case err == nil:
		return OK
	case errors.Is(err, ebpf.ErrNotSupported), errors.Is(err, btf.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return Missing
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES) && !rejected:
		// A program that the verifier dislikes is EACCES too, with a log.
		return Denied
	case rejected:
		return Unknown
	}
	for _, absent := range []error{
		syscall.ENODEV, syscall.ENXIO, syscall.EOPNOTSUPP,
		syscall.EINVAL, syscall.E2BIG, syscall.ENOSYS, enotsupp,
	} {
		if errors.Is(err, absent) {
			return Missing
		}
	}
	return Unknown
}

// tried wraps err with what was tried. It reduces a refusal to its errno:
// cilium/ebpf appends to every EPERM the guess that RLIMIT_MEMLOCK is low.
func tried(what string, err error) error {
	if err == nil {
		return nil
	}
	for _, errno := range []syscall.Errno{syscall.EPERM, syscall.EACCES} {
		if errors.Is(err, errno) && classify(err) == Denied {
			return fmt.Errorf("%s: %w", what, errno)
		}
	}
	return fmt.Errorf("%s: %w", what, err)
}

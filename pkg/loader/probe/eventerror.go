package probe

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ebpfprof/ebpfprof/pkg/loader/perfevent"
)

// An EventError says that this machine cannot have an event, and what can be had instead.
type EventError struct {
	Event   string
	Reason  string // a phrase such as "no hardware PMU: the hypervisor passes none through"
	Instead string // what to do instead, such as "use -e cpu"; "": nothing comes near
	Err     error  // what the kernel said
}

func (e *EventError) Error() string {
	s := "event " + e.Event + ": " + e.Reason
	if e.Instead != "" {
		s += "; " + e.Instead
	}
	return s
}

func (e *EventError) Unwrap() error { return e.Err }

// Sampling finds out, by doing it, whether this machine can sample an event on every CPU.
//
// Errors: *EventError.
func Sampling(e perfevent.Event) error { return tryEvent(e, false) }

// Counting is Sampling for an event that is only counted, which needs no interrupt of the PMU.
//
// Errors: *EventError.
func Counting(e perfevent.Event) error { return tryEvent(e, true) }

func tryEvent(e perfevent.Event, count bool) error {
	o, err := perfSpec{e}.probe()
	if err == nil && o.countOnly && !count {
		return &EventError{e.Name, o.detail, instead(e), syscall.EOPNOTSUPP}
	}
	return ExplainEvent(e, err)
}

// ExplainEvent turns the error of opening an event into an *EventError; nil stays nil.
func ExplainEvent(e perfevent.Event, err error) error {
	if err == nil {
		return nil
	}
	if known, ok := errors.AsType[*EventError](err); ok {
		return known
	}
	out := &EventError{Event: e.Name, Reason: err.Error(), Instead: instead(e), Err: err}
	switch status := classify(err); {
	case status == Denied:
		out.Reason, out.Instead = "the kernel does not allow it: "+err.Error(), "run 'ebpfprof doctor' to see which privilege is missing"
	case status == Missing && e.Hardware():
		out.Reason = machineWithout(os.DirFS("/"), err)
	case errors.Is(err, syscall.EBUSY):
		out.Reason = "another user holds the counters of the PMU that it needs"
	case errors.Is(err, perfevent.ErrUnknown):
		out.Instead = ""
	case status == Missing:
		out.Reason = fmt.Sprintf("this kernel does not have it (%v)", err)
	}
	return out
}

// instead is the nearest that software can do.
func instead(e perfevent.Event) string {
	if !e.Hardware() {
		return ""
	}
	if e.Type == unix.PERF_TYPE_HW_CACHE || strings.HasPrefix(e.Name, "cache-") {
		return "use -e cpu for where time goes, or -e page-faults for where memory is first touched"
	}
	return "use -e cpu, which samples time by the kernel's clock"
}

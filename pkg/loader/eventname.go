package loader

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebpfprof/ebpfprof/pkg/loader/perfevent"
)

// ErrUnknownEvent means that no event has that name.
var ErrUnknownEvent = perfevent.ErrUnknown

// defaultEventPeriod takes every event of those that are rare.
const defaultEventPeriod = 1

// EventNames returns the names that ParseEvent knows, but for raw events and tracepoints.
func EventNames() []string { return append(perfevent.Names(), allocName, offCPUName) }

// ParseEvent reads NAME[@HZ|:PERIOD]. NAME is one of EventNames, rHEX, or SUBSYSTEM:TRACEPOINT. With neither, events are
// sampled hz times a second and CPU, but for those that software counts, and tracepoints, which are taken one by one.
func ParseEvent(s string, hz uint64) (Event, error) {
	name, rate, period, err := splitEvent(s)
	if err != nil {
		return Event{}, err
	}
	if name == offCPUName {
		if rate != 0 {
			return Event{}, fmt.Errorf("event %s has no frequency; write %s:NANOSECONDS for a stack for each so much waiting", name, name)
		}
		return OffCPUEvent(time.Duration(period)), nil
	}
	if name == allocName {
		if rate != 0 {
			return Event{}, fmt.Errorf("event %s has no frequency; write %s:BYTES for a sample for each so much memory", name, name)
		}
		e := AllocEvent(period)
		_, err := Options{Events: []Event{e}}.allocEvent()
		return e, err
	}
	n, err := perfevent.Lookup(name)
	if err != nil {
		return Event{}, err
	}
	e := Event{Name: name, Type: n.Type, Config: n.Config, Frequency: hz}
	switch {
	case period != 0:
		e.Frequency, e.Period = 0, period
	case rate != 0:
		e.Frequency = rate
	case !n.Clock() && !n.Hardware():
		e.Frequency, e.Period = 0, defaultEventPeriod
	}
	return e, e.validate()
}

// splitEvent takes an event's name and its frequency or period apart; 0 is neither. What follows the last colon is a
// period if it is a number, or if what comes before is the name of an event; else it is a tracepoint's.
func splitEvent(s string) (name string, rate, period uint64, err error) {
	name, text, hasRate := strings.Cut(s, "@")
	if hasRate {
		if rate, err = strconv.ParseUint(text, 10, 64); err != nil || rate == 0 {
			return "", 0, 0, fmt.Errorf("event %s: frequency %q is no positive number", name, text)
		}
		return name, rate, 0, nil
	}
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return s, 0, 0, nil
	}
	period, err = strconv.ParseUint(s[i+1:], 10, 64)
	if err == nil && period > 0 {
		return s[:i], 0, period, nil
	}
	if _, unknown := perfevent.Lookup(s[:i]); err == nil || unknown == nil || s[:i] == offCPUName || s[:i] == allocName {
		return "", 0, 0, fmt.Errorf("event %s: period %q is no positive number", s[:i], s[i+1:])
	}
	return s, 0, 0, nil
}

// Hardware reports whether the event needs a hardware PMU.
func (e Event) Hardware() bool {
	return e.Type == unix.PERF_TYPE_HARDWARE || e.Type == unix.PERF_TYPE_HW_CACHE || e.Type == unix.PERF_TYPE_RAW
}

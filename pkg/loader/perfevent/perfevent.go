// Package perfevent knows the names of perf events: those of perf(1) and of the -e flag, and what they mean to
// perf_event_open(2). It is the one table of them.
package perfevent

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrUnknown means that no event has that name.
var ErrUnknown = errors.New("unknown event")

// An Event is what the kernel is asked to count.
type Event struct {
	Name   string // as it was asked for
	Type   uint32 // PERF_TYPE_*
	Config uint64
}

// Hardware reports whether the event needs a hardware PMU.
func (e Event) Hardware() bool {
	return e.Type == unix.PERF_TYPE_HARDWARE || e.Type == unix.PERF_TYPE_HW_CACHE || e.Type == unix.PERF_TYPE_RAW
}

// Clock reports whether the event counts nanoseconds.
func (e Event) Clock() bool {
	return e.Type == unix.PERF_TYPE_SOFTWARE &&
		(e.Config == unix.PERF_COUNT_SW_CPU_CLOCK || e.Config == unix.PERF_COUNT_SW_TASK_CLOCK)
}

// generic are perf's generic events (include/uapi/linux/perf_event.h, enum perf_hw_id and perf_sw_ids) in the order in
// which people are shown them. "cpu" is ours.
func generic() []Event {
	const sw, hw = unix.PERF_TYPE_SOFTWARE, unix.PERF_TYPE_HARDWARE
	return []Event{
		{"cpu", sw, unix.PERF_COUNT_SW_CPU_CLOCK},
		{"cpu-clock", sw, unix.PERF_COUNT_SW_CPU_CLOCK},
		{"task-clock", sw, unix.PERF_COUNT_SW_TASK_CLOCK},
		{"context-switches", sw, unix.PERF_COUNT_SW_CONTEXT_SWITCHES},
		{"cpu-migrations", sw, unix.PERF_COUNT_SW_CPU_MIGRATIONS},
		{"page-faults", sw, unix.PERF_COUNT_SW_PAGE_FAULTS},
		{"minor-faults", sw, unix.PERF_COUNT_SW_PAGE_FAULTS_MIN},
		{"major-faults", sw, unix.PERF_COUNT_SW_PAGE_FAULTS_MAJ},
		{"alignment-faults", sw, unix.PERF_COUNT_SW_ALIGNMENT_FAULTS},
		{"emulation-faults", sw, unix.PERF_COUNT_SW_EMULATION_FAULTS},
		{"cycles", hw, unix.PERF_COUNT_HW_CPU_CYCLES},
		{"instructions", hw, unix.PERF_COUNT_HW_INSTRUCTIONS},
		{"branches", hw, unix.PERF_COUNT_HW_BRANCH_INSTRUCTIONS},
		{"branch-misses", hw, unix.PERF_COUNT_HW_BRANCH_MISSES},
		{"cache-references", hw, unix.PERF_COUNT_HW_CACHE_REFERENCES},
		{"cache-misses", hw, unix.PERF_COUNT_HW_CACHE_MISSES},
		{"bus-cycles", hw, unix.PERF_COUNT_HW_BUS_CYCLES},
		{"ref-cycles", hw, unix.PERF_COUNT_HW_REF_CPU_CYCLES},
		{"stalled-cycles-frontend", hw, unix.PERF_COUNT_HW_STALLED_CYCLES_FRONTEND},
		{"stalled-cycles-backend", hw, unix.PERF_COUNT_HW_STALLED_CYCLES_BACKEND},
	}
}

// alias returns the name in the table of perf's second name for an event.
func alias(name string) string {
	switch name {
	case "cpu-cycles":
		return "cycles"
	case "branch-instructions":
		return "branches"
	case "faults":
		return "page-faults"
	case "cs":
		return "context-switches"
	case "migrations":
		return "cpu-migrations"
	}
	return name
}

// Names returns the names that Lookup knows, but for aliases, raw events and tracepoints.
func Names() []string {
	var names []string
	for _, e := range slices.Concat(generic(), cache()) {
		names = append(names, e.Name)
	}
	return names
}

// Lookup finds an event by a name of Names, an alias, rHEX for a raw event of this processor, or SUBSYSTEM:NAME for a
// tracepoint.
//
// Errors: ErrUnknown; for tracepoints also that tracefs cannot be read.
func Lookup(name string) (Event, error) {
	for _, e := range slices.Concat(generic(), cache()) {
		if e.Name == alias(name) {
			e.Name = name
			return e, nil
		}
	}
	if subsystem, event, ok := strings.Cut(name, ":"); ok {
		id, err := TracepointID(subsystem, event)
		return Event{name, unix.PERF_TYPE_TRACEPOINT, id}, err
	}
	if hex, ok := strings.CutPrefix(name, "r"); ok {
		if config, err := strconv.ParseUint(hex, 16, 64); err == nil {
			return Event{name, unix.PERF_TYPE_RAW, config}, nil
		}
	}
	return Event{}, fmt.Errorf("%w %q; known are %s, rHEX and SUBSYSTEM:TRACEPOINT", ErrUnknown, name,
		strings.Join(Names(), " "))
}

package loader

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrUnknownEvent means that no event has that name.
var ErrUnknownEvent = errors.New("unknown event")

// defaultEventPeriod takes every event of those that are rare.
const defaultEventPeriod = 1

type eventName struct {
	kind   uint32
	config uint64
	period uint64 // 0: by frequency
}

// eventNames are perf's generic events (include/uapi/linux/perf_event.h): the clock and cycles by frequency, what is
// rarer by frequency too, and what software counts one by one by period.
var eventNames = map[string]eventName{
	"cpu":              {unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_CPU_CLOCK, 0},
	"cycles":           {unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_CPU_CYCLES, 0},
	"instructions":     {unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_INSTRUCTIONS, 0},
	"cache-references": {unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_CACHE_REFERENCES, 0},
	"cache-misses":     {unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_CACHE_MISSES, 0},
	"branch-misses":    {unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_BRANCH_MISSES, 0},
	"page-faults":      {unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_PAGE_FAULTS, defaultEventPeriod},
	"context-switches": {unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_CONTEXT_SWITCHES, defaultEventPeriod},
}

// EventNames returns the names that ParseEvent knows, sorted.
func EventNames() []string {
	var names []string
	for n := range eventNames {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// ParseEvent reads NAME[:PERIOD]. Without a period, events are sampled hz times a second and CPU, but for those that
// software counts, which are taken one by one.
func ParseEvent(s string, hz uint64) (Event, error) {
	name, period, hasPeriod := strings.Cut(s, ":")
	n, ok := eventNames[name]
	if !ok {
		return Event{}, fmt.Errorf("%w %q; known are %s", ErrUnknownEvent, name, strings.Join(EventNames(), " "))
	}
	e := Event{Name: name, Type: n.kind, Config: n.config, Frequency: hz, Period: n.period}
	if hasPeriod {
		p, err := strconv.ParseUint(period, 10, 64)
		if err != nil || p == 0 {
			return Event{}, fmt.Errorf("event %s: period %q is no positive number", name, period)
		}
		e.Period = p
	}
	if e.Period != 0 {
		e.Frequency = 0
	}
	return e, e.validate()
}

// Hardware reports whether the event needs a hardware PMU.
func (e Event) Hardware() bool {
	return e.Type == unix.PERF_TYPE_HARDWARE || e.Type == unix.PERF_TYPE_HW_CACHE || e.Type == unix.PERF_TYPE_RAW
}

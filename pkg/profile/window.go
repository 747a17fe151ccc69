package profile

import (
	"time"

	"github.com/google/pprof/profile"
)

// A Series names what a profile over time belongs to.
type Series struct {
	Kind    string // "cpu", "off_cpu", "cache_misses", ...: an event's name with _ for -
	Service string // never ""
	// Labels say more of the service: namespace, pod, container, unit, and what rules add. Names are
	// [a-zA-Z_][a-zA-Z0-9_]*. Values are bounded sets, never a pid, tid or function.
	Labels map[string]string
}

// A Window is the profile of one series over one span of time. Sinks share it: nobody changes it.
type Window struct {
	Series
	Profile *profile.Profile
}

// An Interval is everything of one kind between two moments.
type Interval struct {
	Kind     string
	Start    time.Time
	Duration time.Duration
	Lost     uint64    // events that fired and are in no window; whose they were is not known
	Windows  []*Window // at most one of a series
}

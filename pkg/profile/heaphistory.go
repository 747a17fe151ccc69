package profile

import (
	"fmt"
	"strings"
	"time"
)

// A HeapHistory is what a recording of allocations and frees has seen of heaps over time. All bytes and objects are
// estimates from samples. Times are from the recording's start.
type HeapHistory struct {
	Start    time.Time
	Duration time.Duration
	Period   int64 // bytes of allocations for each sample, on average
	Step     time.Duration
	Moments  []HeapMoment // one for each Step
	Peak     HeapPeak
	Sites    []HeapSite // those with most bytes at the peak first
	Leaks    []HeapLeak // those that leaked most first
	Notes    []string   // what the numbers are of
}

// A HeapMoment is the heap of all processes within one step.
type HeapMoment struct {
	Most int64 // bytes, at most
	Last int64 // at its end
}

// A HeapPeak is the most that was in use at once.
type HeapPeak struct {
	At      time.Duration
	Bytes   int64
	Known   int64 // of these, what HeapSite.PeakBytes add up to: the sites are of a moment at which less than 1 % was missing
	Samples int   // that Bytes is estimated from
}

// A HeapSite is a place that allocates: a stack, in one process.
type HeapSite struct {
	Stack   []string // names of functions, leaf first
	Process string
	PID     int
	Samples uint64
	Steps   []int64 // bytes at the end of each Step; nil where they are not kept

	PeakBytes, InuseBytes, AllocBytes       int64
	PeakObjects, InuseObjects, AllocObjects int64
}

// A HeapLeak is a site of which allocations are not freed, though others of its age were, or though it has freed none at all
// and goes on.
type HeapLeak struct {
	Site      int   // in HeapHistory.Sites
	Bytes     int64 // that leaked
	Deviation int64 // standard deviation of Bytes
	Samples   int   // that outlived Age, and live
	// Age is what a sample must have reached to count: twice what 99 of 100 freed ones reached, and a 20th of the recording.
	Age     time.Duration
	Oldest  time.Duration
	Share   float64 // of the bytes allocated at the site that leaked
	Freed   uint64  // samples of the site that were freed
	Seconds float64 // for which the process was seen: Bytes over this is the rate
}

// Text is one line on a leak, for people.
func (l HeapLeak) Text(h *HeapHistory) string {
	s := &h.Sites[l.Site]
	freed := fmt.Sprintf("%d were freed", l.Freed)
	if l.Freed == 0 {
		freed = "none was freed"
	}
	const kib = 1 << 10
	return fmt.Sprintf("about %.1f KiB (+- %.1f) at %s in %s (%d): %d samples older than %.2f s live, up to %.2f s old, %s; %.2f %% of what it allocates, %.1f KiB a second",
		float64(l.Bytes)/kib, float64(l.Deviation)/kib, s.Name(), s.Process, s.PID, l.Samples, l.Age.Seconds(), l.Oldest.Seconds(), freed, 100*l.Share, float64(l.Bytes)/kib/max(l.Seconds, 1e-3))
}

// siteNames is how many functions name a site.
const siteNames = 4

// Name is the innermost functions of a site.
func (s *HeapSite) Name() string {
	if len(s.Stack) == 0 {
		return "[unknown]"
	}
	name := strings.Join(s.Stack[:min(len(s.Stack), siteNames)], " < ")
	if len(s.Stack) > siteNames {
		name += " < ..."
	}
	return name
}

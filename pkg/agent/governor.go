package agent

import (
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
)

// A governor keeps what probes cost within a budget: it lets them stay while the account of what they may cost is in
// credit, and takes them away until it has grown again.
type governor struct {
	budget float64 // of the CPU time that the targets use; 0: no limit
	cost   loader.HitCost

	credit  time.Duration
	last    time.Time
	spent   time.Duration // so far
	since   time.Time     // of the present window; zero: none
	on      time.Duration // in windows that ended
	windows int
}

const (
	// windowCost is what a window may cost: long enough for what putting and taking probes costs to be small beside it.
	windowCost = 50 * time.Millisecond
	// maxCredit is what may be saved up.
	maxCredit = 2 * windowCost
	// leastUse is what targets count as using at least, as a share of one CPU: those that sleep for long could not be seen
	// when they wake, else.
	leastUse = 0.1
)

// begin opens the account.
func (g *governor) begin(now time.Time) {
	g.credit, g.last = windowCost, now
}

func (g *governor) open(now time.Time) {
	g.since = now
	g.windows++
}

func (g *governor) close(now time.Time) {
	if !g.since.IsZero() {
		g.on += now.Sub(g.since)
		g.since = time.Time{}
	}
}

// estimate is what hits and samples have cost.
func (g *governor) estimate(h loader.AllocHits) time.Duration {
	return time.Duration(h.Emulated)*g.cost.Emulated + time.Duration(h.Stepped)*g.cost.Stepped + h.Walks
}

// decide is given the CPU time that the targets have used since it was asked last, and all hits so far. It tells whether
// probes may be in place from now on.
func (g *governor) decide(now time.Time, used time.Duration, h loader.AllocHits) bool {
	spent := g.estimate(h)
	used = max(used, time.Duration(leastUse*float64(now.Sub(g.last))))
	g.credit = min(g.credit+time.Duration(g.budget*float64(used)), maxCredit) - (spent - g.spent)
	g.spent, g.last = spent, now
	if g.budget == 0 {
		return true
	}
	if !g.since.IsZero() {
		return g.credit > 0
	}
	return g.credit >= windowCost
}

// attachedTime is how long probes were in place.
func (g *governor) attachedTime(now time.Time) time.Duration {
	if g.since.IsZero() {
		return g.on
	}
	return g.on + now.Sub(g.since)
}

package agent

import (
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
)

// simulate runs a program with calls a second while not slowed down, for a time, and returns what its hits cost.
func simulate(g *governor, calls float64, length, detach time.Duration) (cost, attached time.Duration) {
	begin := time.Unix(1000, 0)
	now, h, on := begin, loader.AllocHits{}, true
	g.begin(now)
	g.open(now)
	hit := func(d time.Duration) {
		// A call takes 1/calls, and with a probe the cost of a hit more.
		h.Emulated += uint64(d.Seconds() / (1/calls + g.cost.Emulated.Seconds()))
	}
	for now.Sub(begin) < length {
		now = now.Add(governInterval)
		if on {
			hit(governInterval)
		}
		allowed := g.decide(now, governInterval, h)
		switch {
		case on && !allowed:
			hit(detach)
			now = now.Add(detach)
			g.close(now)
		case !on && allowed:
			g.open(now)
		}
		on = allowed
	}
	return g.estimate(h), g.attachedTime(now)
}

func TestGovernorKeepsBudget(t *testing.T) {
	const length = time.Minute
	for _, c := range []struct {
		calls, budget, most, least float64 // of the time
	}{
		{1e6, 0.01, 0.015, 0.009},
		{5e6, 0.01, 0.015, 0.009},
		{1e5, 0.01, 0.013, 0.009},
		{1e6, 0.05, 0.055, 0.045},
		{1e6, 0, 0.6, 0.4}, // no limit
	} {
		g := &governor{budget: c.budget, cost: loader.HitCost{Emulated: 900, Stepped: 12000}}
		cost, attached := simulate(g, c.calls, length, 40*time.Millisecond)
		share := cost.Seconds() / length.Seconds()
		t.Logf("%g calls/s, budget %g: cost %.4f, attached %s in %d windows", c.calls, c.budget, share, attached, g.windows)
		if share > c.most || share < c.least {
			t.Errorf("%g calls/s, budget %g: cost %.4f, want %.3f to %.3f", c.calls, c.budget, share, c.least, c.most)
		}
	}
}

// Who allocates little is seen all the time.
func TestGovernorLeavesCheapProbes(t *testing.T) {
	g := &governor{budget: 0.01, cost: loader.HitCost{Emulated: 900}}
	if _, attached := simulate(g, 10_000, time.Minute, 40*time.Millisecond); attached < time.Minute || g.windows != 1 {
		t.Errorf("attached %s in %d windows, want always", attached, g.windows)
	}
}

package agent

import (
	"fmt"
	"slices"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// A coverageLog is an account's coverage at some moments, of which each beginning and end of a window is one: between two,
// it grows evenly.
type coverageLog struct {
	points []coveragePoint // rising; the first is not after what is asked for
	keep   time.Duration
}

type coveragePoint struct {
	at  time.Time
	sum profile.Coverage // since the account was opened
}

const (
	// coverageSteps is into how many steps what is kept is divided, besides beginnings and ends.
	coverageSteps = 64
	// maxCoverage bounds the points.
	maxCoveragePoints = 4096
)

func (l *coverageLog) begin(now time.Time, keep time.Duration) {
	l.points, l.keep = append(l.points, coveragePoint{at: now}), keep
}

// due reports whether it is time for another point.
func (l *coverageLog) due(now time.Time) bool {
	return now.Sub(l.points[len(l.points)-1].at) >= max(l.keep/coverageSteps, calmInterval)
}

func (l *coverageLog) add(p coveragePoint) {
	if last := l.points[len(l.points)-1]; !p.at.After(last.at) {
		p.at = last.at // the clock of a goroutine that waited
	}
	l.points = append(l.points, p)
	old := 0
	for old+1 < len(l.points) && p.at.Sub(l.points[old+1].at) > l.keep {
		old++
	}
	if len(l.points)-old > maxCoveragePoints { // every other one will do
		for i := 1; old+2*i < len(l.points)-1; i++ {
			l.points = slices.Delete(l.points, old+i, old+i+1)
		}
	}
	l.points = slices.Delete(l.points, 0, old)
}

// at is the coverage at a moment; before and after what is known, it is that at the ends.
func (l *coverageLog) at(t time.Time) profile.Coverage {
	i, _ := slices.BinarySearchFunc(l.points, t, func(p coveragePoint, t time.Time) int { return p.at.Compare(t) })
	switch {
	case i == 0:
		return l.points[0].sum
	case i == len(l.points):
		return l.points[i-1].sum
	}
	before, after := l.points[i-1], l.points[i]
	part := float64(t.Sub(before.at)) / float64(after.at.Sub(before.at))
	d := after.sum.Since(before.sum)
	return before.sum.Add(profile.Coverage{
		Probed: time.Duration(part * float64(d.Probed)), Of: time.Duration(part * float64(d.Of)), Windows: d.Windows,
		Hits: int64(part * float64(d.Hits)), Cost: time.Duration(part * float64(d.Cost)),
	})
}

// note enters what is so far.
func (c *allocAccount) note(a *Allocations, now time.Time) {
	sum := c.sum(a, now)
	a.mu.Lock()
	defer a.mu.Unlock()
	c.coverage.add(coveragePoint{now, sum})
}

// sum is the coverage since the account was opened.
func (c *allocAccount) sum(a *Allocations, now time.Time) profile.Coverage {
	h, err := c.hits(a)
	if err != nil {
		h = c.lastHits
	}
	c.lastHits = h
	return profile.Coverage{
		Probed: c.governor.attachedTime(now), Of: now.Sub(c.opened), Windows: int64(c.governor.windows),
		Hits: int64(h.Total()), Cost: c.governor.estimate(h),
	}
}

// Coverage is what was covered of a series between two moments, of which the first is not longer ago than
// AllocOptions.Keep; ok is false if nothing of it was to be probed.
func (a *Allocations) Coverage(s profile.Series, from, to time.Time) (c profile.Coverage, ok bool) {
	key := seriesKey(s.Service, s.Labels)
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, account := range a.accounts {
		if account.series.key != key {
			continue
		}
		l := &account.coverage
		c := l.at(to).Since(l.at(from))
		c.Of = to.Sub(from)
		if c.Probed > 0 && c.Windows == 0 {
			c.Windows = 1 // it began before
		}
		return c, true
	}
	return c, false
}

// Comments say of a profile of a series, of the time between two moments, what its values are of.
func (a *Allocations) Comments(period int64, s profile.Series, from, to time.Time) []string {
	c, ok := a.Coverage(s, from, to)
	if !ok {
		return nil
	}
	return []string{a.method(period), c.Comment()}
}

// News returns by service what was covered since the last call. A service of which nothing ever was to be probed is not
// in it.
func (a *Allocations) News() map[string]profile.Coverage {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := a.departed
	a.departed = map[string]profile.Coverage{}
	for _, c := range a.accounts {
		if c.coverage.last().Windows > 0 {
			out[c.series.service] = out[c.series.service].Add(c.news())
		}
	}
	return out
}

// news is what the log has that nobody was told of.
func (c *allocAccount) news() profile.Coverage {
	n := c.coverage.last().Since(c.told)
	c.told = c.coverage.last()
	return n
}

func (l *coverageLog) last() profile.Coverage { return l.points[len(l.points)-1].sum }

// method says how samples are taken and weighed.
func (a *Allocations) method(period int64) string {
	budget := "no limit to their cost"
	if a.options.Budget > 0 {
		budget = fmt.Sprintf("which may cost %g %% of the targets' CPU time", 100*a.options.Budget)
	}
	return fmt.Sprintf("alloc: one sample for each %d bytes on average, weighted by 1/(1-exp(-size/%d)); values are of the time "+
		"with probes, not scaled up to the rest; probes, %s: %s a hit, by calibration", period, period, budget, a.cost)
}

package loader

import (
	"math"
	"time"
)

// A scaling makes up for the time in which an event had no counter, because there were more events than the PMU has
// counters and the kernel let them take turns (kernel.perf_event_mux_interval_ms, 4 ms by default). As in perf, what was
// counted is multiplied by enabled/running. The ratio is that of the last second or two on the sample's CPU: shorter, and
// it depends on chance; longer, and it follows too slowly when others come and go. It is taken at the first sample of a
// turn and kept for the turn: in the course of one it would seem to fall.
type scaling struct{ cpus map[int]*cpuScaling }

const (
	// scalingTime is how much time the ratio is of, at least, once so much has passed.
	scalingTime = time.Second
	// leastTurn is below the shortest turn, 1 ms.
	leastTurn = 500 * time.Microsecond
	// turnGap between two samples, in which the event was not counted, is a turn of others. Less is the time that the
	// kernel takes to account.
	turnGap = 100 * time.Microsecond
)

// turns is how long an event was wanted and was counted, up to some moment.
type turns struct{ enabled, running time.Duration }

func (t turns) since(older turns) turns {
	return turns{t.enabled - older.enabled, t.running - older.running}
}

// A cpuScaling gives each sample what its second or two say, and makes good in the next ones what they were taken for
// wrongly: over the seconds that are over, sums are those of perf's rule for each of them. Without that, turns of uneven
// length add up to 1 % too much in 20 s, as the mean of a ratio is more than the ratio of the means.
type cpuScaling struct {
	last         turns // of the latest sample
	turned       turns // of the first sample of the latest turn
	older, newer turns // as turned, between which and now the ratio is
	ratio        float64
	unscaled     float64 // weights of the samples since newer
	owed         float64 // to the samples before newer, less what was given since
	settled      bool    // after the first second, in which each turn corrects what those before it were taken for
}

// mostRepaid is the part of its own weight by which a sample makes good what others were taken for, once settled: they
// may be another program's.
const mostRepaid = 0.5

// scale returns what a sample of a CPU stands for. Rounding is carried to the next, so that no sum drifts. The times are
// sums since the event was opened; times that run backwards are those of an event opened anew.
func (s *scaling) scale(cpu int, weight uint64, enabled, running time.Duration) uint64 {
	c := s.cpus[cpu]
	now := turns{enabled, running}
	if c == nil || now.enabled < c.last.enabled || now.running < c.last.running {
		c = &cpuScaling{ratio: 1}
		if s.cpus == nil {
			s.cpus = map[int]*cpuScaling{}
		}
		s.cpus[cpu] = c
	}
	c.see(now)
	c.unscaled += float64(weight)
	due := c.owed + c.unscaled*c.ratio
	if own := float64(weight) * c.ratio; c.settled {
		due = min(max(due, (1-mostRepaid)*own), (1+mostRepaid)*own+1) // 1: of a weight of 1 no half can be repaid
	}
	whole := math.Floor(max(due, 0))
	c.owed -= whole
	return uint64(whole)
}

// see takes the ratio anew if now is in another turn than the sample before, or if there are no turns any more.
func (c *cpuScaling) see(now turns) {
	passed := now.since(c.last)
	c.last = now
	if passed.enabled-passed.running <= turnGap {
		if now.enabled-c.turned.enabled >= scalingTime { // alone
			c.close(now)
			c.ratio = 1
			c.turned, c.older = now, now
		}
		return
	}
	c.turned = now
	whole := now.since(c.older)
	if whole.running < leastTurn { // others began
		c.older, c.newer = now, now
		return
	}
	c.ratio = max(float64(whole.enabled)/float64(whole.running), 1)
	if now.enabled-c.newer.enabled >= scalingTime {
		c.older = c.newer
		c.close(now)
	}
}

// close ends the time since newer: its samples stand for what it says itself.
func (c *cpuScaling) close(now turns) {
	whole := now.since(c.newer)
	ratio := 1.0
	if whole.enabled-whole.running > turnGap && whole.running > 0 {
		ratio = float64(whole.enabled) / float64(whole.running)
	}
	c.owed += c.unscaled * ratio
	c.unscaled, c.newer, c.settled = 0, now, true
}

package profile

import (
	"fmt"
	"strings"
	"time"
)

// A Coverage says of which part of the time the values of a profile of allocations are: probes are in place only as long
// as their cost allows. Nothing is scaled up to the rest. Of several services and windows, all fields are sums.
type Coverage struct {
	Probed  time.Duration // probes were in place
	Of      time.Duration
	Windows int64         // in which they were
	Hits    int64         // of probes
	Cost    time.Duration // to the targets, by a calibration
}

const coveragePrefix = "alloc coverage: "

const coverageFormat = "%f s of %f s with probes, %d windows, %d calls that cost the targets about %f s"

// Comment returns the comment from which ParseCoverage learns the same.
func (c Coverage) Comment() string {
	return coveragePrefix + fmt.Sprintf(strings.ReplaceAll(coverageFormat, "%f", "%.3f"),
		c.Probed.Seconds(), c.Of.Seconds(), c.Windows, c.Hits, c.Cost.Seconds())
}

// Add returns the sum of two, which saturates.
func (c Coverage) Add(o Coverage) Coverage {
	const most = maxCoverage * time.Second
	return Coverage{
		min(c.Probed+o.Probed, most), min(c.Of+o.Of, most), min(c.Windows+o.Windows, maxCovered),
		min(c.Hits+o.Hits, maxCovered), min(c.Cost+o.Cost, most),
	}
}

// Since returns what was added to an older one.
func (c Coverage) Since(o Coverage) Coverage {
	return Coverage{c.Probed - o.Probed, c.Of - o.Of, c.Windows - o.Windows, c.Hits - o.Hits, c.Cost - o.Cost}
}

// ParseCoverage reads a comment of a profile; ok is false for any other text.
func ParseCoverage(comment string) (c Coverage, ok bool) {
	text, is := strings.CutPrefix(comment, coveragePrefix)
	if !is || len(text) > 256 {
		return c, false
	}
	var probed, of, cost float64
	if n, err := fmt.Sscanf(text, coverageFormat, &probed, &of, &c.Windows, &c.Hits, &cost); err != nil || n != 5 {
		return Coverage{}, false
	}
	for _, s := range []float64{probed, of, cost} {
		if !(s >= 0 && s <= maxCoverage) {
			return Coverage{}, false
		}
	}
	if min(c.Windows, c.Hits) < 0 || max(c.Windows, c.Hits) > maxCovered {
		return Coverage{}, false
	}
	c.Probed, c.Of, c.Cost = duration(probed), duration(of), duration(cost)
	return c, true
}

// Bounds of what a file may say, so that two of it can be added: seconds, and windows or calls.
const (
	maxCoverage = 1_000_000_000
	maxCovered  = 1 << 60
)

func duration(seconds float64) time.Duration {
	return time.Duration(seconds * 1e9).Round(time.Millisecond)
}

// SumCoverage replaces the coverages among comments by their sum.
func SumCoverage(comments []string) []string {
	var sum Coverage
	at := -1
	out := comments[:0:0]
	for _, text := range comments {
		c, ok := ParseCoverage(text)
		if !ok {
			out = append(out, text)
			continue
		}
		if at < 0 {
			at = len(out)
			out = append(out, "")
		}
		sum = sum.Add(c)
	}
	if at >= 0 {
		out[at] = sum.Comment()
	}
	return out
}

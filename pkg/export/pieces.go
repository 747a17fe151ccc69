package export

import (
	"time"

	"github.com/google/pprof/profile"
)

// A pprofLimit is what a server takes in one profile.
type pprofLimit struct{ samples, bytes int }

// pprofPieces encodes p in as few profiles as fit, each valid by itself, which together have the sums of p, and hands
// each to emit. It returns how many stacks are too large for a profile of their own and in none.
func pprofPieces(p *profile.Profile, sums []stackSum, h pprofHeader, most pprofLimit, emit func([]byte)) (tooLarge int) {
	var w *pprofWriter
	flush := func() {
		if w != nil && w.samples > 0 {
			emit(w.buf)
		}
		w = nil
	}
	cut := cutLocation()
	for _, s := range sums {
		s.locations = shorten(s.locations, cut)
		if w != nil && (w.samples >= most.samples || len(w.buf)+w.cost(s) > most.bytes) {
			flush()
		}
		if w == nil {
			w = newPprofWriter(h)
		}
		w.add(s)
		if w.samples == 1 && len(w.buf) > most.bytes {
			tooLarge++
			w = nil
		}
	}
	flush()
	return tooLarge
}

// startOf returns the time that a profile of an interval carries: its start, or its end where the server would refuse
// the start as too old but not the end, as with a recording of two hours.
func startOf(start time.Time, duration time.Duration, now time.Time, maxAge time.Duration) time.Time {
	if end := start.Add(duration); now.Sub(start) > maxAge && now.Sub(end) <= maxAge {
		return end
	}
	return start
}

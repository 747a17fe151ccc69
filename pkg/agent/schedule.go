package agent

import (
	"time"

	"golang.org/x/sys/unix"
)

// A clock tells CLOCK_MONOTONIC, which samples carry, and the wall's time, at one moment.
type clock func() (mono time.Duration, wall time.Time)

func systemClock() (time.Duration, time.Time) {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // cannot fail
	return time.Duration(ts.Nano()), time.Now().Round(0)
}

// A span is the time of one window. The monotonic clock decides what is in it; the wall's time of its start is what the
// wall showed then.
type span struct {
	start, end  time.Duration
	wall, until time.Time // of start, and, as far as one can tell at the start, of end
}

// slewLimit is how far the wall may drift in a window before it counts as a step: a clock that is slewed gains at most
// 0.5 ms a second (adjtimex(2)).
const slewLimit = 50 * time.Millisecond

// A schedule cuts time into spans that end at multiples of length by the wall.
type schedule struct {
	length time.Duration
	clock  clock
}

// at begins a span at a moment of the monotonic clock. It ends at a multiple of length, a full one if the next is near.
func (s schedule) at(start time.Duration) span {
	mono, wall := s.clock()
	begin := wall.Add(start - mono)
	left := begin.Truncate(s.length).Add(s.length).Sub(begin)
	if left < s.length/8 {
		left += s.length
	}
	return span{start: start, end: start + left, wall: begin, until: begin.Add(left)}
}

// after is the span that follows p. When the wall has only drifted, spans join without a gap by the wall too; after a
// step, the wall's new time stands.
func (s schedule) after(p span) span {
	mono, wall := s.clock()
	drift := wall.Add(p.end - mono).Sub(p.until)
	if drift.Abs() > slewLimit {
		return s.at(p.end)
	}
	return span{start: p.end, end: p.end + s.length - drift, wall: p.until, until: p.until.Add(s.length)}
}

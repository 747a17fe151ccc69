package goheap

import (
	"time"

	"golang.org/x/sys/unix"
)

// minClock is how long both clocks must have run to be compared; the runtime's
// minTimeForTicksPerSecond has an error of 0.004 % after 100 ms.
const minClock = 100 * time.Millisecond

// A clock is one moment by the runtime's counter of ticks and in nanoseconds.
type clock struct{ ticks, nanos int64 }

func readClock() clock { return clock{cpuTicks(), monotonic()} }

func monotonic() int64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return 0
	}
	return ts.Nano()
}

// ticks completes a contention profile with the frequency of its clock: the one that
// the program itself computed, which its own profiles use, or the same measurement.
func (p *Process) ticks(m *memory, c *Contention) error {
	if addr := p.at(ticksVal); addr != 0 {
		v, err := m.u64(addr)
		if err != nil {
			return err
		}
		// 1 kHz to 1 THz: another value is no frequency.
		if v > 1e3 && v < 1e12 {
			c.TicksPerSecond = float64(v)
			return nil
		}
		if v != 0 {
			return unsupported("%d ticks per second: laid out differently", v)
		}
	}
	if rest := minClock - time.Duration(monotonic()-p.started.nanos); rest > 0 {
		time.Sleep(rest)
	}
	now := readClock()
	c.TicksPerSecond = float64(now.ticks-p.started.ticks) * 1e9 / float64(max(now.nanos-p.started.nanos, 1))
	c.Measured = true
	if !(c.TicksPerSecond > 0) {
		return unsupported("this machine's counter of ticks does not run evenly")
	}
	return nil
}

package loader

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// A mux is a PMU whose events take turns: on for one part in every share, as the kernel rotates them.
type mux struct {
	turn, cycle time.Duration
	on          time.Duration // from the start of each cycle
}

func (m mux) times(at time.Duration) turns {
	whole, rest := at/m.cycle, at%m.cycle
	return turns{at, whole*m.turn + min(max(rest-m.on, 0), m.turn)}
}

// Samples of an event that takes turns stand for what perf would say of it, whatever the period and wherever its turn
// lies, with events at an even rate and in bursts; and at an even rate for what there was.
func TestScalingRestoresTotals(t *testing.T) {
	const lasting = 20 * time.Second
	random := rand.New(rand.NewPCG(1, 2))
	for _, turn := range []int{1, 2, 3, 10} {
		for on := range turn {
			for _, period := range []uint64{1, 7, 200} {
				for _, bursts := range []bool{false, true} {
					m := mux{4 * time.Millisecond, time.Duration(turn) * 4 * time.Millisecond, time.Duration(on) * 4 * time.Millisecond}
					var s scaling
					var there, counted, left, sum uint64
					for at := time.Duration(0); at < lasting; at += 20 * time.Microsecond {
						n := uint64(3)
						if bursts {
							n = 0
							if random.IntN(100) == 0 {
								n = uint64(random.IntN(600))
							}
						}
						there += n
						now := m.times(at)
						if m.times(at+20*time.Microsecond).running == now.running {
							continue // not its turn
						}
						counted += n
						for left += n; left >= period; left -= period {
							sum += s.scale(0, period, now.enabled, now.running)
						}
					}
					name := fmt.Sprintf("%d turns, own %d, period %d, bursts %t", turn, on, period, bursts)
					if perf := float64(counted) * float64(turn); math.Abs(float64(sum)/perf-1) > 0.01 {
						t.Errorf("%s: %d, perf would say %.0f", name, sum, perf)
					}
					if !bursts && math.Abs(float64(sum)/float64(there)-1) > 0.01 {
						t.Errorf("%s: %d of %d", name, sum, there)
					}
				}
			}
		}
	}
}

// Turns of any length, as on a machine that is itself stopped now and then: what samples stand for is still what perf
// would say, but for the last turns, because a ratio that was wrong for one second is made good in the next.
func TestScalingOfUnevenTurns(t *testing.T) {
	const lasting, period = 20 * time.Second, 2000
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 3))
		var s scaling
		var now turns
		var counted, left, sum uint64
		for now.enabled < lasting {
			for on := range 3 {
				turn := time.Duration(random.ExpFloat64() * float64(4*time.Millisecond))
				for end := now.enabled + turn; now.enabled < end; now.enabled += 20 * time.Microsecond {
					if on != 0 {
						continue
					}
					now.running += 20 * time.Microsecond
					counted += 20
					for left += 20; left >= period; left -= period {
						sum += s.scale(0, period, now.enabled, now.running)
					}
				}
			}
		}
		perf := float64(counted) * float64(now.enabled) / float64(now.running)
		if off := float64(sum)/perf - 1; math.Abs(off) > 0.01 {
			t.Errorf("seed %d: %d, perf would say %.0f: %+.2f %%", seed, sum, perf, 100*off)
		}
	}
}

// Another user of the PMU that comes or goes is noticed within two seconds.
func TestScalingFollows(t *testing.T) {
	var s scaling
	var now turns
	for range 10_000 { // alone for 10 s
		now.enabled, now.running = now.enabled+time.Millisecond, now.running+time.Millisecond
		if got := s.scale(3, 1000, now.enabled, now.running); got != 1000 {
			t.Fatalf("weight %d without others", got)
		}
	}
	var got uint64
	for range 4000 {
		now.enabled, now.running = now.enabled+4*time.Millisecond, now.running+time.Millisecond
		got = s.scale(3, 1000, now.enabled, now.running)
	}
	if got < 3990 || got > 4010 {
		t.Errorf("weight %d with one turn in four, want 4000", got)
	}
}

// CPUs have their own times, and an event that was opened anew begins anew.
func TestScalingApart(t *testing.T) {
	var s scaling
	s.scale(0, 1, 10*time.Second, 5*time.Second)
	if got := s.scale(1, 1000, time.Second, time.Second); got != 1000 {
		t.Errorf("weight %d on a CPU of its own", got)
	}
	s.scale(0, 1, 20*time.Second, 10*time.Second)
	if got := s.scale(0, 1000, time.Second, time.Second); got != 1000 {
		t.Errorf("weight %d of an event that was opened anew", got)
	}
}

package goheap

import (
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// TestContention: block and mutex profiles as the program's own pprof files have them.
func TestContention(t *testing.T) {
	for _, version := range versions() {
		for _, b := range builds()[:3] {
			t.Run(version+"/"+b.name, func(t *testing.T) {
				x := start(t, compile(t, "target", version, b), "-waits", "1")
				p := x.open(nil)
				for _, c := range []struct {
					name, function string
					read           func() (*Contention, error)
				}{{"block", "main.receive", p.Block}, {"mutex", "main.holdLock", p.Mutex}} {
					before, err := c.read()
					if err != nil {
						t.Fatal(err)
					}
					theirs := x.sums(c.name)
					// Asked for its profile, the program has computed its frequency.
					got, err := c.read()
					if err != nil {
						t.Fatal(err)
					}
					for again := x.sums(c.name); !maps.EqualFunc(theirs, again, slices.Equal); again = x.sums(c.name) {
						// It waited for a lock of the runtime meanwhile, which has a stack as well.
						theirs = again
						if got, err = c.read(); err != nil {
							t.Fatal(err)
						}
					}
					if got.Measured || math.Abs(before.TicksPerSecond/got.TicksPerSecond-1) > 0.01 {
						t.Errorf("%s: %g ticks per second (measured: %v), the program found %g",
							c.name, before.TicksPerSecond, before.Measured, got.TicksPerSecond)
					}
					ours := got.Profile(program(t, p), profile.Labels{Comm: "target"}, time.Now())
					if err := ours.CheckValid(); err != nil {
						t.Error(err)
					}
					mine := sums(ours)
					found := false
					for k, w := range theirs {
						g := mine[k]
						// Each record is converted by itself, by the program as well.
						if len(g) != 2 || g[0] != w[0] || g[1] != w[1] {
							t.Errorf("%s: %s\n is %v, the program says %v", c.name, k, g, w)
						}
						found = found || strings.Contains(k, c.function)
					}
					if !found || len(mine) != len(theirs) {
						t.Errorf("%s: %d stacks, the program has %d: %v", c.name, len(mine), len(theirs), theirs)
					}
					t.Logf("%s: %d stacks in %v, rate %d, %g ticks per second", c.name, len(mine), got.Duration, got.Rate, got.TicksPerSecond)
				}
			})
		}
	}
}

// TestContentionOff: a program that did not ask for the profiles is told apart from
// one without waiting.
func TestContentionOff(t *testing.T) {
	p := start(t, compile(t, "target", versions()[0], build{})).open(nil)
	for _, read := range []func() (*Contention, error){p.Block, p.Mutex} {
		if c, err := read(); !errors.Is(err, ErrOff) {
			t.Errorf("%+v, %v", c, err)
		}
	}
}

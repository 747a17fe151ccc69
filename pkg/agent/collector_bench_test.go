package agent

import (
	"context"
	"fmt"
	"testing"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

const benchProcesses, benchPrograms, benchStacks, benchDepth = 200, 20, 50, 30

// load is the samples of 200 processes of 20 programs, with 50 stacks of 30 frames each.
func load() []*loader.Sample {
	var all []*loader.Sample
	for p := range benchProcesses {
		for st := range benchStacks {
			x := threadSample(p+1, p+1)
			x.End, x.Certain = loader.EndComplete, true
			x.VMAs = []loader.VMA{{Start: 0x1000, End: 0x100000, File: loader.FileID{Ino: uint64(p%benchPrograms + 1)}}}
			for depth := range benchDepth { // half of a stack is shared
				addr := 0x2000 + depth*64
				if depth < benchDepth/2 {
					addr += (st + 1) * 0x2000 / 8
				}
				x.User = append(x.User, uint64(addr))
			}
			all = append(all, x)
		}
	}
	return all
}

func benchCollector(b *testing.B, o CollectorOptions) (*Collector, *script) {
	s := newScript()
	o.Kinds, o.Identify = KindsOf(loader.CPUClock(99)), func(pid int, _ uint64) Identity {
		return Identity{Service: fmt.Sprint("s", pid%benchPrograms), OK: true}
	}
	c, err := NewCollector(s, o)
	if err != nil {
		b.Fatal(err)
	}
	c.schedule.clock = s.clock
	c.begin()
	return c, s
}

// One sample of a known stack.
func BenchmarkCollectorSample(b *testing.B) {
	c, s := benchCollector(b, CollectorOptions{})
	all := load()
	for _, x := range all {
		x.Time = s.now()
		c.Sample(x)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.Sample(all[i%len(all)])
	}
}

// One window of 200 processes with 50 stacks each: all named before (steady), and none (first).
func BenchmarkCollectorClose(b *testing.B) {
	all := load()
	for _, first := range []bool{false, true} {
		name := "steady"
		if first {
			name = "first"
		}
		b.Run(name, func(b *testing.B) {
			c, s := benchCollector(b, CollectorOptions{Sinks: []Sink{
				{Name: "none", Put: func(context.Context, *profile.Interval) error { return nil }},
			}})
			fill := func() *window {
				w := c.newWindow(c.schedule.at(s.now()), 0)
				c.cur = w
				for _, x := range all {
					x.Time = w.start
					c.Sample(x)
				}
				return c.seal(w)
			}
			w := fill()
			c.intervals(w)
			b.ReportAllocs()
			for b.Loop() {
				if first {
					w.parts[0].gen.places, w.parts[0].gen.seen = nil, nil
					c.namer.cache = placeCache{limit: defaultMaxPlaces}
				}
				if n := len(c.intervals(w)[0].Windows); n != benchPrograms {
					b.Fatalf("%d series", n)
				}
			}
		})
	}
}

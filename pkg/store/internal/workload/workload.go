// Package workload makes profiles that look like those of a machine full of services, for tests and benchmarks: each
// window of a service has 30 to 100 distinct stacks of 20 to 40 frames, which come from the service's own few hundred,
// some much more often than others; functions are shared by services, as libraries are.
package workload

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// Stacks is how many distinct stacks a service has in a day.
const Stacks = 600

// A Machine makes the intervals of one kind.
type Machine struct {
	Kind     string
	services []service
	rng      *rand.Rand
}

type service struct {
	series profile.Series
	stacks []stack
	choice *rand.Zipf
}

type stack struct {
	frames []frame
	comm   string
}

type frame struct {
	mapping profile.Mapping
	addr    uint64
	frames  []profile.Frame
}

// New returns a machine with services, the same for the same seed.
func New(kind string, services int, seed uint64) *Machine {
	m := &Machine{Kind: kind, rng: rand.New(rand.NewPCG(seed, 1))}
	pool := make([]frame, 4000)
	for i := range pool {
		pool[i] = m.frame(i)
	}
	popular := rand.NewZipf(m.rng, 1.1, 8, uint64(len(pool)-1))
	for i := range services {
		s := service{series: profile.Series{
			Kind: kind, Service: fmt.Sprintf("service-%02d", i),
			Labels: map[string]string{"namespace": "team-" + strconv.Itoa(i%7), "pod": fmt.Sprintf("service-%02d-7d4b9", i)},
		}}
		for range Stacks {
			s.stacks = append(s.stacks, m.stack(s.stacks, pool, popular))
		}
		s.choice = rand.NewZipf(m.rng, 1.2, 12, Stacks-1)
		m.services = append(m.services, s)
	}
	return m
}

func (m *Machine) frame(i int) frame {
	lib := i % 40
	start := uint64(0x1000)
	f := frame{
		mapping: profile.Mapping{Start: start, Limit: start + 0x400000, Offset: 0x1000,
			File: fmt.Sprintf("/usr/lib/x86_64-linux-gnu/libpart%02d.so.%d", lib, lib%5), BuildID: fmt.Sprintf("%040x", lib*7919)},
		addr: start + uint64(m.rng.IntN(0x3ff000)),
	}
	for j := range 1 + m.rng.IntN(8)/7 { // one in eight has an inlined call
		f.frames = append(f.frames, profile.Frame{
			Name: fmt.Sprintf("part%02d::component_%d::method_%d(std::string const&, int)", lib, i%300, i+j),
			File: fmt.Sprintf("/build/src/part%02d/component_%d.cc", lib, i%300), Line: int64(m.rng.IntN(2000)), StartLine: int64(i % 1900),
		})
	}
	return f
}

// stack makes a stack that often shares its outer half with an earlier one.
func (m *Machine) stack(before []stack, pool []frame, popular *rand.Zipf) stack {
	s := stack{comm: fmt.Sprintf("worker-%d", m.rng.IntN(4))}
	n := 20 + m.rng.IntN(21)
	if len(before) > 0 && m.rng.IntN(4) > 0 {
		old := before[m.rng.IntN(len(before))].frames
		s.frames = append(s.frames, old[len(old)/2:]...)
	}
	for len(s.frames) < n {
		s.frames = append([]frame{pool[popular.Uint64()]}, s.frames...)
	}
	return s
}

// Interval returns what the machine did between start and start plus d, at 99 samples a second.
func (m *Machine) Interval(start time.Time, d time.Duration) *profile.Interval {
	in := &profile.Interval{Kind: m.Kind, Start: start, Duration: d, Lost: m.rng.Uint64N(3)}
	for i := range m.services {
		s := &m.services[i]
		in.Windows = append(in.Windows, &profile.Window{Series: s.series, Profile: m.profile(s, start, d)})
	}
	return in
}

func (m *Machine) profile(s *service, start time.Time, d time.Duration) *pprof.Profile {
	cpu := profile.ValueType{Type: "cpu", Unit: "nanoseconds"}
	b := profile.NewBuilder(profile.BuilderOptions{
		SampleTypes: []profile.ValueType{{Type: "samples", Unit: "count"}, cpu},
		PeriodType:  cpu, Period: int64(time.Second) / 99, Start: start, Duration: d,
	})
	counts := map[int]int64{}
	draws := int(float64(2*(30+m.rng.IntN(71))) * max(1, d.Seconds()/10))
	for range draws {
		counts[int(s.choice.Uint64())] += 1 + int64(m.rng.ExpFloat64()*2)
	}
	for _, i := range slices.Sorted(maps.Keys(counts)) {
		st, n := &s.stacks[i], counts[i]
		locs := make([]*pprof.Location, len(st.frames))
		for i, f := range st.frames {
			locs[i] = b.Location(f.mapping, f.addr, f.frames)
		}
		b.Sample(locs, profile.Labels{Comm: st.comm, PID: 1000, Service: s.series.Service}, n, n*int64(time.Second)/99)
	}
	return b.Profile()
}

package agent

import (
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// offCPU is a kind as off-CPU time is one: its samples carry nanoseconds, and their tag says more of them.
func offCPU() Kind {
	return Kind{
		Event: "off-cpu", Type: profile.ValueType{Type: "off_cpu", Unit: "nanoseconds"},
		Labels: func(tag uint16, functions iter.Seq[string]) profile.Extra {
			wait := "other"
			for name := range functions {
				if name == "[truncated]" {
					wait = "unknown"
				}
			}
			return profile.NewExtra(profile.Label{Key: "state", Value: fmt.Sprint("s", tag)}, profile.Label{Key: "wait", Value: wait})
		},
	}
}

func threeKinds() []Kind {
	return append(KindsOf(loader.CPUClock(100), loader.Event{Name: "page-faults", Period: 100}), offCPU())
}

func kindSample(event int, tag uint16, weight uint64) *loader.Sample {
	x := threadSample(1, 1)
	x.Event, x.Tag, x.Weight = event, tag, weight
	return x
}

// Kinds share windows, and nothing of one is in another: intervals, statistics, thinning and live batches.
func TestCollectorKeepsKindsApart(t *testing.T) {
	s, k := newScript(), newKeeper()
	fraction := 1.0
	c, end := collect(t, s, CollectorOptions{Kinds: threeKinds(), Sinks: []Sink{k.sink()}, Identify: func(pid int, _ uint64) Identity {
		return Identity{Service: "s", OK: true, Fraction: fraction}
	}})
	in, _, err := c.Subscribe("off_cpu")
	if err != nil {
		t.Fatal(err)
	}
	s.ticks(250 * time.Millisecond)
	for range 40 {
		s.do(func(h loader.Handler) {
			s.sample(h, kindSample(0, 0, 1))
			for range 2 {
				s.sample(h, kindSample(1, 0, 100))
			}
			s.sample(h, kindSample(2, 3, 5000))
			s.sample(h, kindSample(2, 4, 7000))
		})
		s.ticks(250 * time.Millisecond)
	}
	end()
	states := map[profile.Extra]int64{}
	for b := range in {
		if b.Kind != "off_cpu" || b.Unit != "nanoseconds" {
			t.Fatalf("batch of %s in %s", b.Kind, b.Unit)
		}
		for _, x := range b.Samples {
			states[x.Extra] += x.Value
		}
	}
	want := profile.NewExtra(profile.Label{Key: "state", Value: "s3"}, profile.Label{Key: "wait", Value: "other"})
	if len(states) != 2 || states[want] == 0 {
		t.Errorf("live values by labels %v", states)
	}
	samples, values := map[string]int64{}, map[string]int64{}
	for _, i := range k.all {
		for _, w := range i.Windows {
			if w.Kind != i.Kind {
				t.Errorf("a window of %s in an interval of %s", w.Kind, i.Kind)
			}
			for _, x := range w.Profile.Sample {
				samples[i.Kind] += x.Value[0]
				values[i.Kind] += x.Value[1]
				if (i.Kind == "off_cpu") != (len(x.Label["state"]) == 1) {
					t.Errorf("%s: labels %v", i.Kind, x.Label)
				}
			}
		}
	}
	if fmt.Sprint(samples) != "map[cpu:40 off_cpu:80 page_faults:80]" || fmt.Sprint(values) != "map[cpu:400000000 off_cpu:480000 page_faults:8000]" {
		t.Errorf("samples %v, values %v", samples, values)
	}
	for i, n := range []uint64{40, 80, 80} {
		if st := c.Stats().Kinds[i]; st.Samples != n || st.Fired != n+st.Lost[loader.LostRingFull] || st.Services["s"].Samples != n {
			t.Errorf("%+v, want %d samples", st, n)
		}
	}
}

// What is kept of one kind stands for none of another.
func TestThinningByKind(t *testing.T) {
	n := thinning{fraction: 0.5, kinds: make([]thinned, 2)}
	var sums [2]uint64
	for i := range 101 {
		kind := i % 2
		if sum, kept := n.take(kind, uint64(1+99*kind), 0); kept {
			sums[kind] += sum.weight
		}
	}
	if sums != [2]uint64{50, 5000} {
		t.Errorf("sums %v", sums)
	}
}

// One profile has a sample type for each kind, and each kind's profile has the same sums.
func TestRecorderKinds(t *testing.T) {
	r, err := NewRecorder(proc.FS{}, threeKinds(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for range 3 {
		r.Sample(kindSample(0, 0, 1))
		r.Sample(kindSample(1, 0, 100))
		r.Sample(kindSample(2, 7, 9))
	}
	p, stacks := r.Profile(time.Now(), time.Second)
	if err := p.CheckValid(); err != nil {
		t.Fatal(err)
	}
	if p.DefaultSampleType != "cpu" || len(p.SampleType) != 4 || p.SampleType[3].Type != "off_cpu" || p.Period != 10_000_000 {
		t.Errorf("types %v, default %s, period %d", p.SampleType, p.DefaultSampleType, p.Period)
	}
	sums := make([]int64, 4)
	for _, x := range p.Sample {
		for i, v := range x.Value {
			sums[i] += v
		}
	}
	if fmt.Sprint(sums) != "[9 30000000 300 27]" {
		t.Errorf("sums %v", sums)
	}
	if len(p.Sample) != 2 { // that of the tag has labels of its own
		t.Errorf("%d samples, want one of two kinds and one of the third", len(p.Sample))
	}
	for kind, want := range []int64{30_000_000, 300, 27} {
		if stacks[kind].Value != want || stacks[kind].ByEnd["complete"] != 3 {
			t.Errorf("kind %d: %+v", kind, stacks[kind])
		}
		own := r.ProfileOf(kind, time.Now(), time.Second)
		if len(own.SampleType) != 2 || len(own.Sample) != 1 || own.Sample[0].Value[1] != want || own.Sample[0].Value[0] != 3 {
			t.Errorf("kind %d: %v", kind, own.Sample)
		}
	}
}

func TestCheckKinds(t *testing.T) {
	clock := loader.CPUClock(99)
	second := clock
	second.Name = "cpu-clock"
	for _, kinds := range [][]Kind{nil, KindsOf(clock, clock), KindsOf(clock, second), make([]Kind, maxKinds+1)} {
		if CheckKinds(kinds) == nil {
			t.Errorf("%d kinds are taken", len(kinds))
		}
	}
}

func TestKindTag(t *testing.T) {
	for _, c := range []struct {
		event int
		tag   uint16
	}{{0, 0}, {15, 4095}, {3, 1}} {
		k := kindTagOf(&loader.Sample{Event: c.event, Tag: c.tag})
		if k.kind() != c.event || k.tag() != c.tag {
			t.Errorf("%+v: kind %d, tag %d", c, k.kind(), k.tag())
		}
	}
}

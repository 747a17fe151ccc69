package merge

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/store/internal/workload"
)

// sums writes a profile as text without its numbering: a line for each distinct sample, and its values.
func sums(p *profile.Profile) map[string][]float64 {
	clean := func(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
	out := map[string][]float64{}
	for _, s := range p.Sample {
		var b strings.Builder
		for _, l := range s.Location {
			fmt.Fprintf(&b, "at %x %v", l.Address, l.IsFolded)
			if m := l.Mapping; m != nil {
				fmt.Fprintf(&b, " of %x %x %x %q %q", m.Start, m.Limit, m.Offset, clean(m.File), clean(m.BuildID))
			}
			for _, n := range l.Line {
				f := n.Function
				fmt.Fprintf(&b, " line %d %d %q %q %q %d", n.Line, n.Column, clean(f.Name), clean(f.SystemName), clean(f.Filename), f.StartLine)
			}
			b.WriteByte('\n')
		}
		var labels []string
		for key, values := range s.Label {
			for i, v := range values {
				if v != "" {
					labels = append(labels, fmt.Sprintf("%q %d=%q", clean(key), i, clean(v)))
				}
			}
		}
		for key, values := range s.NumLabel {
			for i, v := range values {
				unit := ""
				if units := s.NumUnit[key]; i < len(units) {
					unit = units[i]
				}
				labels = append(labels, fmt.Sprintf("%q %d=%d %q", clean(key), i, v, clean(unit)))
			}
		}
		slices.Sort(labels)
		fmt.Fprint(&b, labels)
		sum := out[b.String()]
		if sum == nil {
			sum = make([]float64, len(s.Value))
		}
		for i, v := range s.Value {
			sum[i] += float64(v)
		}
		out[b.String()] = sum
	}
	maps.DeleteFunc(out, func(_ string, v []float64) bool {
		return !slices.ContainsFunc(v, func(x float64) bool { return x != 0 })
	})
	return out
}

func sameSums(t *testing.T, got, want *profile.Profile) {
	t.Helper()
	if err := got.CheckValid(); err != nil {
		t.Fatal(err)
	}
	g, w := sums(got), sums(want)
	for k, v := range w {
		if !slices.Equal(g[k], v) {
			t.Errorf("%v, want %v for\n%s", g[k], v, k)
		}
	}
	if len(g) != len(w) {
		t.Errorf("%d samples, want %d", len(g), len(w))
	}
}

// marshal writes a profile as google/pprof does.
func marshal(t testing.TB, p *profile.Profile) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := p.WriteUncompressed(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// several returns profiles with something in common.
func several(n int) (list []*profile.Profile) {
	m := workload.New("cpu", 3, 7)
	for i := range n {
		for _, w := range m.Interval(time.Unix(int64(1000+10*i), 0), 10*time.Second).Windows {
			list = append(list, w.Profile)
		}
	}
	// The same library elsewhere, locations of many lines, labels with units.
	p := list[1]
	p.Mapping[0].Start += 0x10000
	p.Mapping[0].Limit += 0x10000
	for _, l := range p.Location {
		if l.Mapping == p.Mapping[0] {
			l.Address += 0x10000
		}
	}
	l := list[2].Location[0]
	for range 40 {
		l.Line = append(l.Line, l.Line[0])
	}
	s := list[0].Sample[0]
	s.Label = map[string][]string{"a": {"x", "y"}}
	s.NumLabel, s.NumUnit = map[string][]int64{"b": {1, 2}, "a": {7}}, map[string][]string{"b": {"", "bytes"}}
	list[0].Comments = []string{"one", "two"}
	list[2].Comments = []string{"two", "three"}
	return list
}

func TestSameAsMerge(t *testing.T) {
	list := several(6)
	want, err := profile.Merge(list)
	if err != nil {
		t.Fatal(err)
	}
	fromWire, fromModel := New(0), New(0)
	for _, p := range list {
		if err := fromModel.AddProfile(p); err != nil {
			t.Fatal(err)
		}
		if err := fromWire.Add(marshal(t, p)); err != nil {
			t.Fatal(err)
		}
	}
	for name, m := range map[string]*Merger{"wire": fromWire, "model": fromModel} {
		t.Run(name, func(t *testing.T) {
			got := m.Profile()
			sameSums(t, got, want)
			again, err := profile.ParseUncompressed(m.AppendWire(nil, "extra"))
			if err != nil {
				t.Fatal(err)
			}
			sameSums(t, again, want)
			if got.TimeNanos != want.TimeNanos || got.DurationNanos != want.DurationNanos || got.Period != want.Period ||
				got.DefaultSampleType != want.DefaultSampleType || !slices.Equal(got.Comments, want.Comments) ||
				len(got.Function) != len(want.Function) || len(got.Location) != len(want.Location) || len(got.Mapping) != len(want.Mapping) {
				t.Errorf("header or tables:\n%v\nwant\n%v", got, want)
			}
			if got.Mapping[0].File != want.Mapping[0].File || *got.Mapping[0] != *want.Mapping[0] && got.Mapping[0].BuildID != want.Mapping[0].BuildID {
				t.Errorf("main binary %v, want %v", got.Mapping[0], want.Mapping[0])
			}
			if !slices.Equal(again.Comments, append([]string{"extra"}, want.Comments...)) {
				t.Errorf("comments %q", again.Comments)
			}
		})
	}
}

func TestIncompatible(t *testing.T) {
	list := several(1)
	m := New(0)
	if err := m.AddProfile(list[0]); err != nil {
		t.Fatal(err)
	}
	before := m.AppendWire(nil)
	list[1].SampleType[1].Unit = "microseconds"
	if err := m.AddProfile(list[1]); !errors.Is(err, ErrIncompatible) {
		t.Fatalf("error %v", err)
	}
	if err := m.Add([]byte("not a profile")); err == nil {
		t.Fatal("no error")
	}
	if !bytes.Equal(m.AppendWire(nil), before) {
		t.Error("an error changed the sum")
	}
}

// TestLimit: what there is no room for is counted, and nothing is lost.
func TestLimit(t *testing.T) {
	list := several(20)
	m := New(200 << 10)
	var want [2]int64
	for _, p := range list {
		for _, s := range p.Sample {
			want[0], want[1] = want[0]+s.Value[0], want[1]+s.Value[1]
		}
		if err := m.AddProfile(p); err != nil {
			t.Fatal(err)
		}
	}
	left := m.LeftOut()
	if left[0] == 0 || left[0] >= want[0] {
		t.Errorf("left out %v of %v", left, want)
	}
	if m.size > 250<<10 {
		t.Errorf("%d bytes", m.size)
	}
	p := m.Profile()
	if err := p.CheckValid(); err != nil {
		t.Fatal(err)
	}
	var got [2]int64
	marker := int64(0)
	for _, s := range p.Sample {
		got[0], got[1] = got[0]+s.Value[0], got[1]+s.Value[1]
		if len(s.Location) == 1 && s.Location[0].Line[0].Function.Name == LeftOut {
			marker += s.Value[0]
		}
	}
	if got != want || !slices.Equal(m.Sums(), want[:]) {
		t.Errorf("sum %v and %v, want %v", got, m.Sums(), want)
	}
	if marker != left[0] {
		t.Errorf("marker %d, left out %d", marker, left[0])
	}
}

// FuzzMerge: what google/pprof accepts is accepted, with the same sum; nothing else harms.
func FuzzMerge(f *testing.F) {
	for _, p := range several(1) {
		p.Sample = p.Sample[:3]
		f.Add(marshal(f, p.Compact()))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 64<<10 {
			return
		}
		m := New(0)
		err := m.Add(data)
		if err == nil {
			err = m.Add(data)
		}
		if err == nil {
			got := m.Profile()
			if err := got.CheckValid(); err != nil {
				t.Fatal(err)
			}
			again, err := profile.ParseUncompressed(m.AppendWire(nil))
			if err != nil {
				t.Fatal(err)
			}
			sameSums(t, again, got)
		}
		p, pprofErr := profile.ParseUncompressed(data)
		if pprofErr != nil || p.CheckValid() != nil || huge(p) {
			return
		}
		if err != nil {
			t.Fatalf("google/pprof takes it: %v", err)
		}
		want, err := profile.Merge([]*profile.Profile{p, p.Copy()})
		if err != nil {
			t.Fatal(err)
		}
		sameSums(t, m.Profile(), want)
	})
}

// huge tells whether sums may not fit.
func huge(p *profile.Profile) bool {
	return slices.ContainsFunc(p.Sample, func(s *profile.Sample) bool {
		return slices.ContainsFunc(s.Value, func(v int64) bool { return v > math.MaxInt32 || v < math.MinInt32 })
	})
}

// BenchmarkMerge compares with google/pprof's: 100 windows of one service.
func BenchmarkMerge(b *testing.B) {
	m := workload.New("cpu", 1, 7)
	var wires [][]byte
	for i := range 100 {
		wires = append(wires, marshal(b, m.Interval(time.Unix(int64(1000+10*i), 0), 10*time.Second).Windows[0].Profile))
	}
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m := New(0)
			for _, w := range wires {
				if err := m.Add(w); err != nil {
					b.Fatal(err)
				}
			}
			m.Profile()
		}
	})
	b.Run("pprof", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var list []*profile.Profile
			for _, w := range wires {
				p, err := profile.ParseUncompressed(w)
				if err != nil {
					b.Fatal(err)
				}
				list = append(list, p)
			}
			if _, err := profile.Merge(list); err != nil {
				b.Fatal(err)
			}
		}
	})
}

package merge

import (
	"math"
	"testing"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

func oneStack(values ...int64) []byte {
	var types []profile.ValueType
	for range values {
		types = append(types, profile.ValueType{Type: "inuse_space", Unit: "bytes"})
	}
	b := profile.NewBuilder(profile.BuilderOptions{SampleTypes: types})
	b.Sample([]*pprof.Location{b.Marker("main")}, profile.Labels{}, values...)
	m := New(0)
	if err := m.AddProfile(b.Profile()); err != nil {
		panic(err)
	}
	return m.AppendWire(nil)
}

// A weighted sum that is divided by the sum of weights is the mean, of samples and of sums, also where there was no room.
func TestMean(t *testing.T) {
	for _, limit := range []int64{0, 1} {
		m := New(limit)
		for _, p := range []struct {
			weight int64
			wire   []byte
		}{{3, oneStack(100, -100)}, {1, oneStack(7, -8)}, {0, oneStack(0, 3)}} {
			m.Weigh(p.weight)
			if err := m.Add(p.wire); err != nil {
				t.Fatal(err)
			}
		}
		m.Divide(5)
		if s := m.Sums(); s[0] != 61 || s[1] != -61 {
			t.Errorf("limit %d: sums %v, want 307/5 and -305/5", limit, s)
		}
		p := m.Profile()
		if len(p.Sample) != 1 || p.Sample[0].Value[0] != 61 || p.Sample[0].Value[1] != -61 {
			t.Errorf("limit %d: %v", limit, p.Sample)
		}
	}
}

func TestMeanArithmetic(t *testing.T) {
	for _, c := range [][3]int64{
		{7, 2, 4}, {-7, 2, -4}, {6, 4, 2}, {5, 4, 1}, {-5, 4, -1}, {0, 9, 0}, {math.MaxInt64, math.MaxInt64, 1},
		{math.MaxInt64 - 1, math.MaxInt64, 1}, {math.MinInt64, math.MaxInt64, -1}, {math.MinInt64, 1, math.MinInt64},
	} {
		if got := divideRounded(c[0], c[1]); got != c[2] {
			t.Errorf("%d / %d = %d, want %d", c[0], c[1], got, c[2])
		}
	}
	for _, c := range [][3]int64{
		{3, 4, 12}, {-3, 4, -12}, {math.MaxInt64, 2, math.MaxInt64}, {math.MinInt64, 3, math.MinInt64},
		{math.MinInt64, 1, math.MinInt64}, {1 << 40, 1 << 40, math.MaxInt64}, {-(1 << 40), 1 << 40, math.MinInt64},
	} {
		if got := multiplySaturated(c[0], c[1]); got != c[2] {
			t.Errorf("%d * %d = %d, want %d", c[0], c[1], got, c[2])
		}
	}
}

package profile

import (
	"slices"
	"testing"
	"time"
)

func TestCoverage(t *testing.T) {
	a := Coverage{Probed: 1400 * time.Millisecond, Of: 10 * time.Second, Windows: 2, Hits: 123456, Cost: 100 * time.Millisecond}
	if got, want := a.Comment(), "alloc coverage: 1.400 s of 10.000 s with probes, 2 windows, 123456 calls that cost the targets about 0.100 s"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if b, ok := ParseCoverage(a.Comment()); !ok || a != b {
		t.Errorf("%+v became %+v", a, b)
	}
	b := Coverage{Probed: time.Second, Of: 10 * time.Second, Windows: 1, Hits: 1, Cost: time.Millisecond}
	got := SumCoverage([]string{"x", a.Comment(), "y", b.Comment()})
	if want := []string{"x", a.Add(b).Comment(), "y"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if a.Add(b).Since(b) != a {
		t.Error("a+b-b is not a")
	}
}

func FuzzParseCoverage(f *testing.F) {
	f.Add(Coverage{Probed: time.Second, Of: time.Minute, Windows: 1, Hits: 5, Cost: time.Millisecond}.Comment())
	f.Add("alloc coverage: NaN s of +Inf s with probes, -1 windows, 1 calls that cost the targets about 1e300 s")
	f.Fuzz(func(t *testing.T, text string) {
		c, ok := ParseCoverage(text)
		if !ok {
			return
		}
		if c.Probed < 0 || c.Of < 0 || c.Cost < 0 || c.Hits < 0 || c.Windows < 0 {
			t.Fatalf("%q: %+v", text, c)
		}
		if again, ok := ParseCoverage(c.Comment()); !ok || again != c {
			t.Fatalf("%q: %+v, then %+v", text, c, again)
		}
	})
}

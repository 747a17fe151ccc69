package loader

import (
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/ebpfprof/ebpfprof/internal/target"
	"github.com/ebpfprof/ebpfprof/pkg/preload"
	"github.com/ebpfprof/ebpfprof/pkg/usdt"
)

func TestTrim(t *testing.T) {
	s := Sample{User: []uint64{1, 2, 3, 4}}
	at := &s.User[0]
	s.Trim(1)
	s.Trim(1)
	if !slices.Equal(s.User, []uint64{3, 4}) || s.Gap() != GapAt-2 || &s.User[0] != at {
		t.Errorf("%v, gap at %d", s.User, s.Gap())
	}
}

func TestOwnWeight(t *testing.T) {
	a := &alloc{mean: 65536}
	s := Sample{Weight: 100000, enabled: 1000}
	if a.weigh(&s); s.Objects != 100 || s.Weight != 100000 {
		t.Errorf("%g objects, %d bytes, want 100 of 1000", s.Objects, s.Weight)
	}
}

func TestSampledCookie(t *testing.T) {
	for _, p := range []SampledProbe{{Size: -1}, {Weight: -1}, {Size: 63}, {Weight: 64}} {
		if c, err := p.cookie(); err == nil {
			t.Errorf("%+v: %#x", p, c)
		}
	}
	if c, err := (SampledProbe{Size: 13, Weight: 12, Weighed: true}).cookie(); err != nil || c != 13|12<<8|64 {
		t.Errorf("%#x, %v", c, err)
	}
}

// Of as many samples as the helper takes, it tells the frees, and of no other memory.
func TestHelperTellsFrees(t *testing.T) {
	helper, err := preload.Write([]string{t.TempDir()}, preload.Options{Mean: 65536, Frees: true})
	if err != nil {
		t.Fatal(err)
	}
	defer helper.Close()
	file, err := os.Open(helper.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	found, err := usdt.Find(file, "otel_memory")
	if err != nil {
		t.Fatal(err)
	}
	program := target.C(t, "allocs")
	// The same run twice would draw other samples, so both are counted in one: hits of both probes, and of one alone.
	s := open(t, Options{Events: []Event{AllocEvent(65536)}, Filter: Filter{Kind: FilterProcess}})
	hits := func(names ...string) uint64 {
		base, err := s.AllocHits(0)
		if err != nil {
			t.Fatal(err)
		}
		var probes []SampledProbe
		for _, p := range found {
			if slices.Contains(names, p.Name) {
				probes = append(probes, SampledProbe{Offset: p.Offset})
			}
		}
		c, err := s.ProbeSampled(0, helper.Path, probes)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		cmd := exec.Command(program, "40000")
		cmd.Env = append(os.Environ(), "LD_PRELOAD="+helper.Path)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		h, err := s.AllocHits(0)
		if err != nil {
			t.Fatal(err)
		}
		return h.Since(base).Total()
	}
	allocs, frees, both := float64(hits("alloc")), float64(hits("free")), float64(hits("alloc", "free"))
	t.Logf("%g samples; %g frees; %g of both", allocs, frees, both)
	// About 2,800 each, drawn anew in each run: six standard deviations are 320 of one, and 640 of both, which are the same draws.
	if allocs < 2000 || max(allocs-frees, frees-allocs) > 450 || max(both-2*allocs, 2*allocs-both) > 900 {
		t.Errorf("%g samples and %g frees, and %g of both: want as many of each", allocs, frees, both)
	}
}

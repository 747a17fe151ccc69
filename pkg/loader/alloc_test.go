package loader

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/internal/target"
	"github.com/ebpfprof/ebpfprof/pkg/allocator"
)

func TestAllocWeights(t *testing.T) {
	a := &alloc{mean: 65536}
	for _, size := range []float64{1, 16, 1000, 65536, 4 << 20} {
		const n = 1000
		var objects float64
		var bytes uint64
		for range n {
			s := Sample{Weight: uint64(size)}
			a.weigh(&s)
			objects += s.Objects
			bytes += s.Weight
		}
		want := n / (1 - math.Exp(-size/65536))
		if math.Abs(objects/want-1) > 1e-9 || math.Abs(float64(bytes)-want*size) > 1.01 {
			t.Errorf("%g bytes: %g objects and %d bytes, want %g and %g", size, objects, bytes, want, want*size)
		}
	}
}

func TestAllocEventNames(t *testing.T) {
	for name, want := range map[string]uint64{"alloc": DefaultAllocMean, "alloc:65536": 65536, "alloc@99": 0, "alloc:0": 0, "alloc:1": 0} {
		e, err := ParseEvent(name, 99)
		if (err == nil) != (want != 0) || err == nil && (e.Period != want || !e.IsAlloc()) {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
}

// Probes come and go while the program runs into them; it does what it does without them.
func TestAllocProbesComeAndGo(t *testing.T) {
	s := open(t, Options{Events: []Event{AllocEvent(0)}, Filter: Filter{Kind: FilterProcess}})
	cost, err := s.CalibrateAllocs()
	if err != nil {
		t.Fatal(err)
	}
	base, err := s.AllocHits(0)
	if err != nil {
		t.Fatal(err)
	}
	if t.Logf("a hit: %s", cost); base.Emulated == 0 {
		t.Fatal("calibration hit nothing")
	}
	libs, _ := filepath.Glob("/lib/*-linux-gnu/libc.so.6")
	if len(libs) == 0 {
		t.Skip("needs glibc")
	}
	f, err := os.Open(libs[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l, err := allocator.Find(f, true)
	if err != nil {
		t.Fatal(err)
	}
	var probes []AllocProbe
	for _, fn := range l.Functions {
		if fn.Name == "malloc" {
			probes = append(probes, AllocProbe{Offset: fn.Entry + uint64(fn.Site.Offset), Size: AllocArg0})
		}
	}
	p := target.Start(t, target.C(t, "allocs"), "3000000")
	times := uint64(0)
	for ; ; times++ {
		c, err := s.ProbeAllocs(p.PID, libs[0], probes)
		if errors.Is(err, os.ErrNotExist) {
			break // it has ended
		}
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
		c.Close()
	}
	h, err := s.AllocHits(0)
	if err != nil {
		t.Fatal(err)
	}
	if n := h.Since(base).Total(); n < times || times < 3 {
		t.Errorf("%d hits in %d windows", n, times)
	}
	if n := target.Number(t, p.Wait(t), "site_16"); n != 3000000 {
		t.Errorf("the target did %g rounds", n)
	}
}

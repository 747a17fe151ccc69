package loader

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
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
	// It ends when the file is there.
	end := filepath.Join(t.TempDir(), "end")
	p := target.Start(t, target.C(t, "allocs"), "-1", end)
	times := uint64(often(t, "EBPFPROF_TIMES", 20))
	for range times {
		c, err := s.ProbeAllocs(p.PID, libs[0], probes)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
		c.Close()
	}
	if err := os.WriteFile(end, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := s.AllocHits(0)
	if err != nil {
		t.Fatal(err)
	}
	out := p.Wait(t)
	n := h.Since(base).Total()
	if t.Logf("%d hits in %d windows", n, times); n < times {
		t.Errorf("%d hits in %d windows", n, times)
	}
	// Two of its functions ask once in each round or every second one.
	if n, half := target.Number(t, out, "site_16"), target.Number(t, out, "site_100"); n < float64(times) || half != math.Ceil(n/2) {
		t.Errorf("the target did %g rounds, and %g halves", n, half)
	}
}

// often is how many times a test does a thing: few, if the environment does not say otherwise.
func often(t *testing.T, name string, usual int) int {
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q: want a positive number", name, text)
	}
	return n
}

// Processes that run into probes from their first instruction return from functions whose entries are hard to probe what
// they do without.
func TestAllocProbesDoNoHarm(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("needs amd64: the functions are written for it")
	}
	s := open(t, Options{Events: []Event{AllocEvent(minAllocMean)}})
	path := target.C(t, "entries")
	f, err := os.Open(path)
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
		t.Logf("%s: %+v", fn.Name, fn.Site)
		probes = append(probes, AllocProbe{Offset: fn.Entry + uint64(fn.Site.Offset), Size: AllocArg0})
	}
	c, err := s.ProbeAllocs(0, path, probes)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	base, err := s.AllocHits(0)
	if err != nil {
		t.Fatal(err)
	}
	const rounds = 20
	runs := often(t, "EBPFPROF_RUNS", 50)
	for range runs {
		out, err := exec.Command(path, strconv.Itoa(rounds)).CombinedOutput()
		if err != nil || target.Number(t, string(out), "intact") == 0 {
			t.Fatalf("%v: %s", err, out)
		}
	}
	h, err := s.AllocHits(0)
	if err != nil {
		t.Fatal(err)
	}
	n := h.Since(base).Total()
	if t.Logf("%d hits in %d runs", n, runs); n < uint64(runs*rounds*4) {
		t.Errorf("%d hits in %d runs of %d rounds", n, runs, rounds)
	}
}

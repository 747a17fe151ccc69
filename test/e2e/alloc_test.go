package e2e

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/internal/target"
)

// allocators are those that Debian has, as programs of ours use them.
func allocators(t *testing.T) map[string]func(t *testing.T) *exec.Cmd {
	return allocatorsOf(t, "allocs")
}

// allocatorsOf is allocators for another program.
func allocatorsOf(t *testing.T, name string) map[string]func(t *testing.T) *exec.Cmd {
	preloaded := func(pattern string) func(*testing.T) *exec.Cmd {
		return func(t *testing.T) *exec.Cmd {
			paths, _ := filepath.Glob(pattern)
			if len(paths) == 0 {
				t.Skipf("needs %s", pattern)
			}
			cmd := exec.Command(target.C(t, name))
			cmd.Env = append(os.Environ(), "LD_PRELOAD="+paths[0])
			return cmd
		}
	}
	musl := func(flags ...string) func(*testing.T) *exec.Cmd {
		return func(t *testing.T) *exec.Cmd {
			need(t, "musl-gcc")
			source, out := target.Source(t, name), filepath.Join(t.TempDir(), name)
			args := append([]string{"-O1", "-fno-omit-frame-pointer", "-o", out, source}, flags...)
			if text, err := exec.Command("musl-gcc", args...).CombinedOutput(); err != nil {
				t.Fatalf("musl-gcc: %v\n%s", err, text)
			}
			return exec.Command(out)
		}
	}
	return map[string]func(*testing.T) *exec.Cmd{
		"glibc":        func(t *testing.T) *exec.Cmd { return exec.Command(target.C(t, name)) },
		"glibc-static": func(t *testing.T) *exec.Cmd { return exec.Command(target.C(t, name, "-static")) },
		"jemalloc":     preloaded("/usr/lib/*-linux-gnu/libjemalloc.so.2"),
		"tcmalloc":     preloaded("/usr/lib/*-linux-gnu/libtcmalloc_minimal.so.4"),
		"mimalloc":     preloaded("/usr/lib/*-linux-gnu/libmimalloc.so.2"),
		"musl":         musl(),
		"musl-static":  musl("-static"),
	}
}

// What samples stand for is, for each function that allocates, what the program itself has counted.
func TestAllocations(t *testing.T) {
	needRoot(t)
	for name, command := range allocators(t) {
		t.Run(name, func(t *testing.T) {
			cmd := command(t)
			dir := t.TempDir()
			file := filepath.Join(dir, "a.pb.gz")
			args := []string{"record", "-q", "-e", "alloc:65536", "--alloc-budget", "0", "--as-root", "-o", file, "--", cmd.Path, "40000"}
			record := exec.Command(program(), args...)
			record.Env = cmd.Env
			out := finish(t, record)
			if out.exit != 0 {
				t.Fatalf("exit %d: %s", out.exit, out.stderr)
			}
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p, err := pprof.ParseData(raw)
			if err != nil {
				t.Fatal(err)
			}
			checkAllocations(t, p, out.stdout)
		})
	}
}

const allocMean = 65536

// checkAllocations compares with what the program says, function by function: of n allocations of about S bytes, each is
// sampled with p = 1-exp(-S/mean), so the sum of the weights 1/p has a variance of n(1-p)/p. Five standard deviations are
// exceeded once in some 10,000 runs of all.
func checkAllocations(t *testing.T, p *pprof.Profile, truth string) {
	t.Helper()
	var types []string
	for _, s := range p.SampleType {
		types = append(types, s.Type+"/"+s.Unit)
	}
	if got, want := strings.Join(types, " "), "samples/count alloc_objects/count alloc_space/bytes"; got != want {
		t.Fatalf("sample types %q, want %q", got, want)
	}
	if p.PeriodType.Type != "space" || p.PeriodType.Unit != "bytes" || p.Period != allocMean {
		t.Errorf("period %d %+v", p.Period, p.PeriodType)
	}
	var names []string
	for _, name := range []string{"16", "100", "1000", "64k", "1m", "4m", "mix", "calloc", "realloc", "aligned"} {
		names = append(names, "site_"+name)
	}
	checkSites(t, p, truth, names...)
}

// checkSites compares functions with what the program prints of them.
func checkSites(t *testing.T, p *pprof.Profile, truth string, names ...string) {
	t.Helper()
	objects, bytes := siteSums(p)
	for _, name := range names {
		n, size := allocTruth(t, truth, name)
		prob := -math.Expm1(-size / n / allocMean)
		// Of bytes, that is the variance whatever the sizes. Of objects it is larger where sizes are spread: by a factor of
		// 3.2 for mix, from 8 to 4,007 bytes, by less for the others.
		deviation := math.Sqrt(n * (1 - prob) / prob)
		z := (objects[name] - n) / max(math.Sqrt(3.2)*deviation, 1)
		zb := (bytes[name] - size) / max(math.Sqrt(1.4)*deviation*size/n, size/n)
		t.Logf("%s: objects %.3f, bytes %.3f of the truth (%.1f and %.1f deviations)", name, objects[name]/n, bytes[name]/size, z, zb)
		if math.Abs(z) > 5 || math.Abs(zb) > 5 {
			t.Errorf("%s: %.0f objects, %.0f bytes, want %.0f and %.0f", name, objects[name], bytes[name], n, size)
		}
	}
}

// siteSums are the objects and the bytes of each function called site_NAME.
func siteSums(p *pprof.Profile) (objects, bytes map[string]float64) {
	objects, bytes = map[string]float64{}, map[string]float64{}
	for _, s := range p.Sample {
		for _, l := range s.Location {
			for _, line := range l.Line {
				if name := line.Function.Name; strings.HasPrefix(name, "site_") {
					objects[name] += float64(s.Value[1])
					bytes[name] += float64(s.Value[2])
				}
			}
		}
	}
	return objects, bytes
}

func allocTruth(t *testing.T, truth, name string) (objects, bytes float64) {
	t.Helper()
	objects = target.Number(t, truth, name)
	for line := range strings.Lines(truth) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == name {
			return objects, target.Number(t, "bytes "+f[2]+"\n", "bytes")
		}
	}
	t.Fatalf("the program printed no bytes of %s", name)
	return 0, 0
}

// Whoever does not say which processes to probe is told why that is refused.
func TestAllocationsWantTargets(t *testing.T) {
	needRoot(t)
	out := run(t, "record", "-e", "alloc", "-a", "-d", "1s", "-o", filepath.Join(t.TempDir(), "a.pb.gz"))
	if out.exit != 2 || !strings.Contains(out.stderr, "-p") {
		t.Errorf("exit %d: %s", out.exit, out.stderr)
	}
}

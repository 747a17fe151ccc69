package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/internal/target"
)

// preloaded records a command with the helper in it, and returns the profile and what --summary says of the event.
func preloaded(t *testing.T, env []string, period string, command ...string) (outcome, *pprof.Profile, allocSummary) {
	t.Helper()
	needRoot(t)
	dir := t.TempDir()
	file, summary := filepath.Join(dir, "a.pb.gz"), filepath.Join(dir, "s.json")
	args := []string{"record", "-e", "alloc:" + period, "--preload", "--as-root", "-o", file, "--summary", summary, "--"}
	record := exec.Command(program(), append(args, command...)...)
	record.Env = env
	out := finish(t, record)
	var p *pprof.Profile
	if raw, err := os.ReadFile(file); err == nil {
		if p, err = pprof.ParseData(raw); err != nil {
			t.Fatal(err)
		}
	}
	var s struct {
		Events map[string]struct {
			Fired, Samples uint64
			Lost           map[string]uint64
			Guessed        uint64
			Alloc          allocSummary
		}
	}
	if raw, err := os.ReadFile(summary); err == nil {
		if err := json.Unmarshal(raw, &s); err != nil {
			t.Fatal(err)
		}
	}
	e := s.Events["alloc"]
	lost := uint64(0)
	for _, n := range e.Lost {
		lost += n
	}
	if e.Fired != e.Samples+lost {
		t.Errorf("%d fired, %d samples, %d lost", e.Fired, e.Samples, lost)
	}
	e.Alloc.guessed = e.Guessed
	return out, p, e.Alloc
}

type allocSummary struct {
	Hits, Stepped uint64
	guessed       uint64 // stacks
	Preload       struct {
		Processes  int
		NotCovered []struct{ Comm, Reason string } `json:"not_covered"`
		Own        int                             `json:"own_sampler"`
		Replaced   uint64                          `json:"samples_replaced"`
	}
}

// What samples stand for is, for each function that allocates, what the program itself has counted.
func TestPreload(t *testing.T) {
	needRoot(t)
	for name, command := range allocators(t) {
		if strings.HasSuffix(name, "-static") {
			continue // TestPreloadRefuses
		}
		t.Run(name, func(t *testing.T) {
			cmd := command(t)
			out, p, s := preloaded(t, cmd.Env, "65536", cmd.Path, "40000")
			if out.exit != 0 {
				t.Fatalf("exit %d: %s", out.exit, out.stderr)
			}
			checkAllocations(t, p, out.stdout)
			// None, unless the machine is too busy to compile the helper's unwind table before the program begins.
			t.Logf("%d stacks went by frame pointers", s.guessed)
			if s.Preload.Processes != 1 || len(s.Preload.NotCovered) > 0 || s.Stepped > 0 {
				t.Errorf("%+v", s)
			}
			for _, sample := range p.Sample {
				if leaf := sample.Location[0]; leaf.Mapping != nil && strings.Contains(leaf.Mapping.File, "ebpfprof") {
					t.Fatalf("a stack begins in the helper: %s", leaf.Mapping.File)
				}
			}
		})
	}
}

// C++'s operators: libstdc++'s, which call malloc, and those of allocators, which do not. Each byte counts once.
func TestPreloadOperators(t *testing.T) {
	need(t, "g++")
	source := target.File(t, "news.cc")
	bin := filepath.Join(t.TempDir(), "news")
	if text, err := exec.Command("g++", "-O1", "-fno-omit-frame-pointer", "-o", bin, source).CombinedOutput(); err != nil {
		t.Fatalf("g++: %v\n%s", err, text)
	}
	for _, name := range []string{"", "libjemalloc.so.2", "libtcmalloc_minimal.so.4", "libmimalloc.so.2"} {
		t.Run("with "+name, func(t *testing.T) {
			env := os.Environ()
			if name != "" {
				paths, _ := filepath.Glob("/usr/lib/*-linux-gnu/" + name)
				if len(paths) == 0 {
					t.Skipf("needs %s", name)
				}
				env = append(env, "LD_PRELOAD="+paths[0])
			}
			out, p, _ := preloaded(t, env, "65536", bin, "100000")
			if out.exit != 0 {
				t.Fatalf("exit %d: %s", out.exit, out.stderr)
			}
			checkSites(t, p, out.stdout, "site_one", "site_array", "site_aligned", "site_caught")
		})
	}
}

// Threads, children that go on and children that become other programs are all in it, and nobody draws what another draws.
func TestPreloadProcesses(t *testing.T) {
	bin := target.C(t, "forks")
	out, p, s := preloaded(t, os.Environ(), "65536", bin, "8", "20000", bin)
	if out.exit != 0 {
		t.Fatalf("exit %d: %s", out.exit, out.stderr)
	}
	checkSites(t, p, out.stdout, "site_threads", "site_children", "site_executed")
	if s.Preload.Processes != 9 {
		t.Errorf("%d processes sampled, want 1 and 8 children", s.Preload.Processes)
	}
}

// What the helper cannot be in is refused, or named, and runs as it would without.
func TestPreloadRefuses(t *testing.T) {
	needRoot(t)
	static := target.C(t, "allocs", "-static")
	out, _, _ := preloaded(t, os.Environ(), "65536", static, "10")
	if out.exit != 4 || !strings.Contains(out.stderr, "static") {
		t.Errorf("a static program: exit %d: %s", out.exit, out.stderr)
	}
	out, _, s := preloaded(t, os.Environ(), "65536", "sh", "-c", static+" 4000000; true")
	if out.exit != 0 || !strings.Contains(out.stdout, "site_16 4000000") {
		t.Errorf("a static child: exit %d: %s", out.exit, out.stderr)
	}
	if n := s.Preload.NotCovered; len(n) != 1 || n[0].Comm != "allocs" || !strings.Contains(n[0].Reason, "static") {
		t.Errorf("a static child is not named: %+v", n)
	}
	for _, args := range [][]string{
		{"record", "-e", "cpu", "--preload", "--", "true"},
		{"record", "-e", "alloc", "--preload", "-p", "1"},
	} {
		if out := run(t, args...); out.exit != 2 || !strings.Contains(out.stderr, "--preload") {
			t.Errorf("%v: exit %d: %s", args, out.exit, out.stderr)
		}
	}
}

// Sanitizers' runtimes come behind the helper and work, and what is asked of them is sampled.
func TestPreloadSanitizers(t *testing.T) {
	needRoot(t)
	for _, name := range []string{"address", "thread", "leak"} {
		t.Run(name, func(t *testing.T) {
			probe := exec.Command("gcc", "-fsanitize="+name, "-x", "c", "-o", filepath.Join(t.TempDir(), "p"), "-")
			probe.Stdin = strings.NewReader("int main(void) { return 0; }")
			if err := probe.Run(); err != nil {
				t.Skipf("needs gcc with that sanitizer: %v", err)
			}
			bin := target.C(t, "allocs", "-fsanitize="+name)
			out, p, s := preloaded(t, os.Environ(), "65536", bin, "40000")
			if out.exit != 0 || strings.Contains(out.stderr, "Sanitizer:") {
				t.Fatalf("exit %d: %s", out.exit, out.stderr)
			}
			checkAllocations(t, p, out.stdout)
			if s.Preload.Processes != 1 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A program that samples by itself (otel_memory) is taken at its own weights, and not sampled a second time.
func TestPreloadOwnSampler(t *testing.T) {
	bin := target.C(t, "ownsampler")
	out, p, s := preloaded(t, os.Environ(), "65536", bin, "3")
	if out.exit != 0 {
		t.Fatalf("exit %d: %s", out.exit, out.stderr)
	}
	objects, bytes := siteSums(p)
	told := target.Number(t, out.stdout, "told")
	if s.Preload.Own != 1 || s.Preload.Replaced == 0 {
		t.Errorf("%+v", s)
	}
	// Probes are put when the program has run for a while: no more than it has told, and most of that.
	got := bytes["site_told"]
	if got < told*1000000/2 || got > told*1000000 || objects["site_told"] != got/1000 {
		t.Errorf("%g objects, %g bytes of %g samples of 1000 bytes with the weight 1000000", objects["site_told"], got, told)
	}
	if bytes["site_other"] != 0 {
		t.Errorf("%g bytes of what the program does not tell", bytes["site_other"])
	}
}

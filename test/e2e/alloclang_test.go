package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/internal/target"
)

// Programs that ask for 20,000 pieces of 5,000 bytes in a function of their own, and print "bytes N".
const (
	rustAllocs = `#[inline(never)]
fn site_rust(n: usize) -> Vec<u8> {
    let v: Vec<u8> = Vec::with_capacity(n);
    std::hint::black_box(&v);
    v
}
fn main() {
    let mut bytes = 0;
    for _ in 0..20000 {
        bytes += site_rust(std::hint::black_box(5000)).capacity();
    }
    println!("bytes {bytes}");
}
`
	cppAllocs = `#include <cstdio>
#include <vector>
__attribute__((noinline)) std::vector<char> *site_cpp(size_t n)
{
	auto *v = new std::vector<char>(n);
	asm volatile("" ::"r"(v) : "memory");
	return v;
}
int main()
{
	size_t bytes = 0;
	for (int i = 0; i < 20000; i++) {
		auto *v = site_cpp(5000);
		bytes += v->size();
		delete v;
	}
	printf("bytes %zu\n", bytes);
}
`
	pythonAllocs = `
n = 0
for i in range(20000):
    n += len(bytes(4967))  # with its header 5000
print("bytes", n + 20000 * 33)
`
)

// compiled builds a source and returns the command that runs it.
func compiled(t *testing.T, name, source, compiler string, flags ...string) []string {
	t.Helper()
	need(t, compiler)
	dir := t.TempDir()
	file, out := filepath.Join(dir, name), filepath.Join(dir, "program")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := exec.Command(compiler, append(flags, "-o", out, file)...).CombinedOutput(); err != nil {
		t.Skipf("needs a %s that works: %v\n%s", compiler, err, text)
	}
	return []string{out}
}

// What languages bring of their own, operator new, alloc::alloc and PyObject_Malloc, is seen once, in the function that asks.
func TestAllocationsOfLanguages(t *testing.T) {
	needRoot(t)
	for name, c := range map[string]struct {
		command func(t *testing.T) []string
		site    string // "": any
	}{
		"rust": {func(t *testing.T) []string {
			return compiled(t, "a.rs", rustAllocs, "rustc", "-O", "-C", "force-frame-pointers=yes")
		}, "site_rust"},
		"c++":        {func(t *testing.T) []string { return compiled(t, "a.cc", cppAllocs, "g++", "-O2") }, "site_cpp"},
		"c++ static": {func(t *testing.T) []string { return compiled(t, "a.cc", cppAllocs, "g++", "-O2", "-static") }, "site_cpp"},
		"python": {func(t *testing.T) []string {
			need(t, "python3")
			out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
			if err != nil {
				t.Skip(err)
			}
			return []string{strings.TrimSpace(string(out)), "-c", pythonAllocs}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "a.pb.gz")
			out := run(t, append([]string{"record", "-q", "-e", "alloc:65536", "--alloc-budget", "0", "--as-root", "-o", file, "--"}, c.command(t)...)...)
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
			want, got := target.Number(t, out.stdout, "bytes"), 0.0
			for _, s := range p.Sample {
				if c.site == "" || through(s, c.site) {
					got += float64(s.Value[2])
				}
			}
			// Some 1,470 samples: three standard deviations are 8 %. The interpreter asks for some MB by itself.
			t.Logf("%.3f of %.0f bytes", got/want, want)
			if got < 0.88*want || got > 1.16*want {
				t.Errorf("%.0f bytes, want %.0f", got, want)
			}
		})
	}
}

// through reports whether a stack goes through a function.
func through(s *pprof.Sample, function string) bool {
	for _, l := range s.Location {
		for _, line := range l.Line {
			if strings.Contains(line.Function.Name, function) {
				return true
			}
		}
	}
	return false
}

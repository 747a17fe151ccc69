package allocator

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ebpfprof/ebpfprof/pkg/probesite"
)

func find(t *testing.T, path string) Library {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l, err := Find(f, false)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return l
}

func (l Library) names() map[string]Function {
	m := map[string]Function{}
	for _, f := range l.Functions {
		m[f.Name] = f
	}
	return m
}

// The libraries that Debian has, those that are installed.
func TestFindInLibraries(t *testing.T) {
	seen := 0
	for pattern, c := range map[string]struct {
		family    string
		want, not []string
	}{
		"/lib/*-linux-gnu/libc.so.6":                    {"glibc", []string{"malloc", "free", "calloc", "realloc"}, []string{"reallocarray"}},
		"/usr/lib/*-linux-gnu/libjemalloc.so.2":         {"jemalloc", []string{"malloc", "free", "_Znwm", "mallocx", "sdallocx"}, []string{"_ZdlPv"}},
		"/usr/lib/*-linux-gnu/libtcmalloc_minimal.so.4": {"tcmalloc", []string{"malloc", "free"}, nil},
		"/usr/lib/*-linux-gnu/libmimalloc.so.2":         {"mimalloc", []string{"calloc", "free"}, nil},
		"/lib/*-linux-musl/libc.so":                     {"musl", []string{"malloc", "free", "calloc"}, nil},
		"/usr/lib/*-linux-musl/libc.so":                 {"musl", []string{"malloc", "free", "calloc"}, nil},
	} {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			seen++
			l := find(t, path)
			names := l.names()
			if l.Family != c.family {
				t.Errorf("%s is of %s", path, l.Family)
			}
			for _, n := range c.want {
				if _, ok := names[n]; !ok {
					t.Errorf("%s: no %s in %v", path, n, names)
				}
				if n == "realloc" && c.family == "glibc" && !names[n].NullElsewhere {
					t.Errorf("%s: realloc of no pointer is counted twice", path)
				}
			}
			for _, n := range c.not {
				if _, ok := names[n]; ok {
					t.Errorf("%s: %s jumps to another function", path, n)
				}
			}
			for _, f := range l.Functions {
				t.Logf("%s %s %#x+%d size %d frees %v: %s %s %s", l.Family, f.Name, f.Entry, f.Site.Offset, f.Size, f.Frees, f.Site.Class, f.Site.Instruction, f.Site.Reason)
			}
		}
	}
	if seen == 0 {
		t.Skip("no C library where Debian puts it")
	}
	paths, _ := filepath.Glob("/usr/lib/*-linux-gnu/libstdc++.so.6")
	for _, path := range paths { // its operators call malloc
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if l, err := Find(f, false); !errors.Is(err, ErrNone) {
			t.Errorf("%s: %+v, %v", path, l.names(), err)
		}
		f.Close()
	}
}

// A static program's malloc is in the program, and operator new is not probed beside it.
func TestFindInStaticProgram(t *testing.T) {
	dir := t.TempDir()
	for name, source := range map[string]string{
		"a.cc": `#include <cstdlib>
int main(int n, char **) { int *p = new int[n]; void *q = malloc(n); free(q); delete[] p; return 0; }`,
		// A program of its own that calls itself "new" and "delete" allocates nothing by that.
		"b.cc": `#include <cstdlib>
extern "C" __attribute__((noinline)) int mallocn(int a) { asm(""); return a; }
int main(int n, char **) { void *q = malloc(n); free(q); return mallocn(n); }`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		exe := filepath.Join(dir, strings.TrimSuffix(name, ".cc"))
		if out, err := exec.Command("g++", "-static", "-O1", "-fno-builtin", "-o", exe, filepath.Join(dir, name)).CombinedOutput(); err != nil {
			t.Skipf("no static C++: %v: %s", err, out)
		}
		l := find(t, exe)
		names := l.names()
		if l.Family != "glibc" || names["malloc"].Size != Arg0 || !names["free"].Frees {
			t.Errorf("%s: %s, %v", name, l.Family, names)
		}
		for n, f := range names {
			if f.New || n == "mallocn" {
				t.Errorf("%s: %s is probed", name, n)
			}
			if !l.Within(f.Entry) || f.Bytes > 0 && !l.Within(f.Entry+f.Bytes-1) {
				t.Errorf("%s: %s is not within itself", name, n)
			}
		}
		if l.Within(0) {
			t.Errorf("%s: the file's start is within a function", name)
		}
	}
}

func TestLookup(t *testing.T) {
	table := roles()
	for symbol, want := range map[string]Role{
		"malloc": {Size: Arg0}, "_rjem_malloc": {Size: Arg0}, "je_calloc": {Size: Arg0Arg1}, "__libc_realloc": {Size: Arg1, Frees: true},
		"mi_zalloc": {Size: Arg0}, "tc_newarray": {Size: Arg0}, "_Znwm": {Size: Arg0, New: true}, "_ZdaPvm": {Frees: true, New: true},
		"_ZnamSt11align_val_t": {Size: Arg0, New: true}, "posix_memalign": {Size: Arg2}, "reallocarray": {Size: Arg1Arg2, Frees: true},
	} {
		if got, _, ok := lookup(table, symbol); !ok || got != want {
			t.Errorf("%s: %+v, %v", symbol, got, ok)
		}
	}
	for _, symbol := range []string{"new", "delete", "mallocn", "my_malloc", "malloc_trim", "_Znwy", "_ZN3fooC1Ev", "xmalloc", ""} {
		if got, _, ok := lookup(table, symbol); ok {
			t.Errorf("%s is %+v", symbol, got)
		}
	}
}

func FuzzFind(f *testing.F) {
	exe, err := os.ReadFile("/bin/true")
	if err == nil && len(exe) < 64<<10 {
		f.Add(exe)
	}
	f.Add([]byte("\x7fELF\x02\x01\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := Find(bytes.NewReader(data), true)
		for _, fn := range l.Functions {
			if fn.Site.Offset < 0 || fn.Site.Offset >= probesite.MaxCode {
				t.Errorf("site %+v, %v", fn.Site, err)
			}
		}
	})
}

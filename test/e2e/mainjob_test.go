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

// TestMainJob: the whole machine under a Go program, a C program, a database under load
// and a copy of zeros. Each one's functions are there by name, those of the kernel too,
// for us and for `go tool pprof`.
func TestMainJob(t *testing.T) {
	needRoot(t)
	need(t, "dd", "go")
	startPostgres(t).load(t)
	target.Start(t, target.C(t, "split"), "90")
	target.Start(t, target.Go(t, "inlined"), "90")
	startDD(t)
	f := newFiles(t)
	o := run(t, f.args("-a", "-d", "10s")...)
	if o.exit != 0 {
		t.Fatalf("exit %d\n%s", o.exit, o.stderr)
	}
	r := f.read(t, o)
	// On an idle machine each of the five has some 300 samples.
	r.some(t, "C", 20, and(inSplit, comm("split")))
	r.some(t, "Go", 20, and(in("main.outer"), comm("inlined")))
	r.some(t, "Go, inlined", 5, and(in("main.inner"), comm("inlined")))
	r.some(t, "dd in the kernel", 20, and(in("vfs_read", "ksys_read", "read_iter_zero", "read_zero"), comm("dd")))
	r.some(t, "a busy server process", 20, comm("postgres"))

	if names := r.functions("postgres", every); len(names) < 10 {
		t.Errorf("%d functions of PostgreSQL by name, want 10: %v", len(names), names)
	}
	if names := r.functions("[kernel]", comm("postgres")); len(names) < 5 {
		t.Errorf("%d functions of the kernel in PostgreSQL, want 5: %v", len(names), names)
	}
	for _, s := range r.profile.Sample {
		if len(s.Label["comm"]) != 1 || len(s.NumLabel["pid"]) != 1 || len(s.NumLabel["tid"]) != 1 || len(s.Label["service"]) != 1 {
			t.Fatalf("sample with labels %v %v, want comm, service, pid and tid", s.Label, s.NumLabel)
		}
	}
	t.Logf("functions of the Go program: %v", r.functions("inlined", every))
	top := pprofTop(t, f.profile)
	for _, name := range append(splitFunctions(), "main.outer", "main.inner") {
		if r.count(in(name)) > 0 && !strings.Contains(top, " "+name) {
			t.Errorf("go tool pprof -top has no %s:\n%.2000s", name, top)
		}
	}
}

// pprofTop is what `go tool pprof` makes of a profile.
func pprofTop(t *testing.T, path string) string {
	t.Helper()
	need(t, "go")
	cmd := exec.Command("go", "tool", "pprof", "-top", "-cum", "-nodecount=1000000", "-nodefraction=0", path)
	cmd.Env = append(os.Environ(), "PPROF_TMPDIR="+t.TempDir())
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, stderr.String())
	}
	return string(out)
}

// startDD copies zeros until the test ends.
func startDD(t *testing.T) {
	t.Helper()
	cmd := exec.Command("dd", "if=/dev/zero", "of=/dev/null", "bs=64k")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
}

// TestInlined: a frame that a compiler has dissolved is there, in its caller's location,
// with file and line.
func TestInlined(t *testing.T) {
	needRoot(t)
	t.Parallel()
	r := record(t, "-F", "999", "--", target.Go(t, "inlined"), "1")
	r.some(t, "main.outer", 50, in("main.outer"))
	n := 0
	for _, l := range r.profile.Location {
		if len(l.Line) < 2 || l.Line[0].Function.Name != "main.inner" {
			continue
		}
		n++
		if l.Line[1].Function.Name != "main.outer" || l.Line[0].Line == 0 ||
			filepath.Base(l.Line[0].Function.Filename) != "main.go" {
			t.Errorf("main.inner in %s, at %s:%d", l.Line[1].Function.Name, l.Line[0].Function.Filename, l.Line[0].Line)
		}
	}
	if n == 0 {
		t.Error("no location has main.inner inlined")
	}
}

// TestKernelHeavy: nearly all of the time is the kernel's, below the caller's frames.
func TestKernelHeavy(t *testing.T) {
	needRoot(t)
	t.Parallel()
	r := record(t, "-F", "999", "--", target.C(t, "syscalls"), "1.5")
	kernel := func(s *pprof.Sample) bool { return len(s.Location) > 0 && isKernel(s.Location[0]) }
	r.some(t, "in the kernel", r.event.Samples/3, kernel)
	r.some(t, "reads of zeros", 20, and(in("vfs_read", "ksys_read"), kernel))
	for _, s := range r.profile.Sample {
		user := false
		for _, l := range s.Location {
			if user = user || !isKernel(l); user && isKernel(l) {
				t.Fatal("kernel frames above user frames")
			}
			if isKernel(l) && !isNamed(l) {
				t.Errorf("kernel address %#x has no name", l.Address)
			}
		}
	}
}

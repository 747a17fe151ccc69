package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/internal/target"
	"github.com/ebpfprof/ebpfprof/pkg/allocator"
)

// Probes change nothing in functions whose entries are hard to probe, and each function is hit.
func TestProbesDoNoHarm(t *testing.T) {
	needRoot(t)
	if runtime.GOARCH != "amd64" {
		t.Skip("needs amd64: the functions are written for it")
	}
	file := filepath.Join(t.TempDir(), "summary.json")
	out := run(t, "record", "-q", "-e", "alloc:4096", "--alloc-budget", "0", "--as-root", "--summary", file,
		"-o", filepath.Join(t.TempDir(), "a.pb.gz"), "--", target.C(t, "entries"), "10000")
	if out.exit != 0 || target.Number(t, out.stdout, "intact") != 50000 {
		t.Fatalf("exit %d: %s%s", out.exit, out.stdout, out.stderr)
	}
	var s struct {
		Events map[string]struct {
			Alloc struct{ Hits, Stepped uint64 }
		}
	}
	raw, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(raw, &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	// The program's own output allocates, too; a function that loops to its entry is hit up to four times by one call.
	if hits := s.Events["alloc"].Alloc.Hits; hits < 40000 || hits > 75000 {
		t.Errorf("%d hits of 40000 calls", hits)
	}
}

// When the profiler is killed, its probes go with it, and the target is whole.
func TestKilledProfilerLeavesNoProbe(t *testing.T) {
	needRoot(t)
	if runtime.GOARCH != "amd64" {
		t.Skip("needs amd64: looks for its breakpoint")
	}
	begin := filepath.Join(t.TempDir(), "begin")
	p := target.Start(t, target.C(t, "allocs"), "40000000", begin)
	cmd := exec.Command(program(), "record", "-q", "-e", "alloc", "--alloc-budget", "0", "-p", strconv.Itoa(p.PID), "-d", "60s",
		"-o", filepath.Join(t.TempDir(), "a.pb.gz"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	wait(t, "probes in the target", func() bool { return probed(t, p.PID) })
	if err := os.WriteFile(begin, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond) // it runs into them
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	wait(t, "the target without probes", func() bool { return !probed(t, p.PID) })
	select {
	case <-p.Exited():
		t.Errorf("the target ended:\n%s", p.Output())
	default:
	}
}

// probed reports whether malloc of the C library has a breakpoint in a process.
func probed(t *testing.T, pid int) bool {
	t.Helper()
	const breakpoint = 0xcc // INT3
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		var start, end, offset uint64
		var mode, dev, ino, path string
		if n, _ := fmt.Sscanf(line, "%x-%x %s %x %s %s %s", &start, &end, &mode, &offset, &dev, &ino, &path); n < 7 ||
			!strings.Contains(path, "/libc.so.6") || !strings.Contains(mode, "x") {
			continue
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		l, err := allocator.Find(f, true)
		if err != nil {
			t.Fatal(err)
		}
		mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
		if err != nil {
			t.Fatal(err)
		}
		defer mem.Close()
		for _, fn := range l.Functions {
			if fn.Name != "malloc" {
				continue
			}
			var b [1]byte
			if _, err := mem.ReadAt(b[:], int64(start+fn.Entry+uint64(fn.Site.Offset)-offset)); err != nil {
				t.Fatal(err)
			}
			return b[0] == breakpoint
		}
	}
	t.Fatal("no malloc found in the target")
	return false
}

const waitLimit = 20 * time.Second

func wait(t *testing.T, what string, ready func() bool) {
	t.Helper()
	for end := time.Now().Add(waitLimit); !ready(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %s for %s", waitLimit, what)
		}
	}
}

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebpfprof/ebpfprof/internal/target"
)

// TestUsage: what cannot be meant is refused before anything is recorded, with a word
// about what was wrong.
func TestUsage(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "out.pb.gz")
	for _, c := range []struct {
		args []string
		word string
	}{
		{[]string{"-o", "out.xyz"}, "out.xyz"},
		{[]string{"-o", "noextension"}, "noextension"},
		{[]string{"--format", "xyz"}, "xyz"},
		{[]string{"-p", "1", "--comm", "x"}, "--pid"},
		{[]string{"-a", "-p", "1"}, "--all"},
		{[]string{"--unit", "x", "--container", "y"}, "--unit"},
		{[]string{"-p", "x"}, "x"},
		{[]string{"-p", "0"}, "0"},
		{[]string{"-p", "-5"}, "-5"},
		{[]string{"--comm", "("}, "comm"},
		{[]string{"-d", "0s"}, "duration"},
		{[]string{"-d", "-1s"}, "duration"},
		{[]string{"-d", "soon"}, "soon"},
		{[]string{"-F", "0"}, "frequency"},
		{[]string{"-F", "1000000000"}, "1000000000"},
		{[]string{"-e", "no-such-event"}, "no-such-event"},
		{[]string{"-e", "cpu@x"}, "cpu@x"},
		{[]string{"-e", "cpu@0"}, "cpu"},
		{[]string{"--ring-bytes", "1000"}, "1000"},
		{[]string{"--ring-bytes", "100000"}, "100000"},
		{[]string{"--no-such-flag"}, "no-such-flag"},
		{[]string{"sleep", "1"}, "sleep"},
	} {
		o := run(t, append([]string{"record", "-o", out}, c.args...)...)
		if o.exit != 2 || !strings.Contains(o.stderr, c.word) || o.stdout != "" {
			t.Errorf("record %q: exit %d, want 2 and a word of %q: %s%s", c.args, o.exit, c.word, o.stderr, o.stdout)
		}
		if exists(out) {
			t.Fatalf("record %q: recorded", c.args)
		}
	}
	for _, args := range [][]string{{"no-such-command"}, {"convert"}, {"convert", "a", "b", "c"}, {"convert", "a.pb.gz", "b.xyz"}} {
		if o := run(t, args...); o.exit != 2 {
			t.Errorf("%q: exit %d, want 2: %s", args, o.exit, o.stderr)
		}
	}
}

// TestFailsEarly: what cannot work fails before the recording, not after it.
func TestFailsEarly(t *testing.T) {
	needRoot(t)
	t.Parallel()
	dir := t.TempDir()
	free := strconv.Itoa(unusedPID(t))
	for _, c := range []struct {
		args []string
		word string
	}{
		{[]string{"-p", free, "-o", filepath.Join(dir, "a.pb.gz")}, free},
		{[]string{"-p", "1," + free, "-o", filepath.Join(dir, "a.pb.gz")}, free},
		{[]string{"-o", filepath.Join(dir, "missing/a.pb.gz")}, "missing"},
		{[]string{"-o", dir, "--format", "pprof"}, "directory"},
		{[]string{"-o", "/etc/passwd/a.pb.gz"}, "passwd"},
	} {
		// An hour: the test ends because the program does.
		o := run(t, append([]string{"record", "-d", "1h"}, c.args...)...)
		if o.exit != 1 || !strings.Contains(o.stderr, c.word) || strings.Count(o.stderr, "\n") > 2 {
			t.Errorf("record %q: exit %d, want 1 and a word of %q: %s", c.args, o.exit, c.word, o.stderr)
		}
	}
	if o := run(t, "convert", filepath.Join(dir, "missing.pb.gz"), filepath.Join(dir, "a.svg")); o.exit != 1 {
		t.Errorf("convert of nothing: exit %d, want 1: %s", o.exit, o.stderr)
	}
	if o := run(t, "convert", program(), filepath.Join(dir, "a.svg")); o.exit != 1 {
		t.Errorf("convert of a program: exit %d, want 1: %s", o.exit, o.stderr)
	}
}

// unusedPID is a number that no process has, and none gets soon: the highest.
func unusedPID(t *testing.T) int {
	t.Helper()
	data, err := os.ReadFile("/proc/sys/kernel/pid_max")
	if err != nil {
		t.Fatal(err)
	}
	limit, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	for pid := limit - 1; pid > 0; pid-- {
		if !exists(fmt.Sprintf("/proc/%d", pid)) {
			return pid
		}
	}
	t.Fatal("every process number is taken")
	return 0
}

// TestNoPrivilege: a normal user learns which capabilities are missing and what to run.
func TestNoPrivilege(t *testing.T) {
	needRoot(t)
	t.Parallel()
	need(t, "setpriv")
	exe := program()
	out := filepath.Join(t.TempDir(), "out.pb.gz")
	if err := os.Chmod(filepath.Dir(out), 0o777); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", exe, "record", "-o", os.DevNull, "--format", "pprof", "-d", "1h")
	o := finish(t, cmd)
	if o.exit != 4 {
		t.Errorf("exit %d, want 4: %s", o.exit, o.stderr)
	}
	for _, word := range []string{"CAP_BPF", "CAP_PERFMON", "sudo", "setcap", exe} {
		if !strings.Contains(o.stderr, word) {
			t.Errorf("the message does not name %s: %s", word, o.stderr)
		}
	}
}

// TestNoEvent: an event that the machine cannot count is refused with what to use instead.
func TestNoEvent(t *testing.T) {
	needRoot(t)
	t.Parallel()
	if entries, _ := filepath.Glob("/sys/bus/event_source/devices/cpu*"); len(entries) > 0 {
		t.Skipf("needs a machine without hardware counters: this one has %v", entries)
	}
	f := newFiles(t)
	o := run(t, f.args("-e", "cycles", "-d", "1h")...)
	if o.exit != 4 {
		t.Errorf("exit %d, want 4: %s", o.exit, o.stderr)
	}
	for _, word := range []string{"cycles", "PMU", "cpu"} {
		if !strings.Contains(o.stderr, word) {
			t.Errorf("the message has no %s: %s", word, o.stderr)
		}
	}
}

// TestIdleTarget: a target that uses no CPU has no samples, which is not a failure.
func TestIdleTarget(t *testing.T) {
	needRoot(t)
	t.Parallel()
	need(t, "sleep")
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	f := newFiles(t)
	o := run(t, f.args("-p", strconv.Itoa(cmd.Process.Pid), "-d", "1s")...)
	if o.exit != 5 || !strings.Contains(o.stderr, "no samples") {
		t.Errorf("exit %d, want 5: %s", o.exit, o.stderr)
	}
	if r := f.read(t, o); len(r.profile.Sample) != 0 {
		t.Errorf("%d samples", len(r.profile.Sample))
	}
}

// TestFullDisk: what does not fit fails by name, leaves nothing half, and the other
// outputs are written.
func TestFullDisk(t *testing.T) {
	needRoot(t)
	t.Parallel()
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=4k"); err != nil {
		t.Skipf("needs to mount a small tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(filepath.Join(disk, "filler"), make([]byte, 4096), 0o644); err != nil {
		t.Fatal(err)
	}
	p := target.Start(t, target.C(t, "split"), "60")
	for _, name := range []string{"a.pb.gz", "a.svg"} {
		f, full := newFiles(t), filepath.Join(disk, name)
		o := run(t, f.args("-F", "999", "-o", full, "-d", "500ms", "-p", strconv.Itoa(p.PID))...)
		if o.exit != 1 || !strings.Contains(o.stderr, full) || !strings.Contains(o.stderr, "no space left") {
			t.Errorf("exit %d, want 1 and the file's name: %s", o.exit, o.stderr)
		}
		f.read(t, o)
		if entries, err := os.ReadDir(disk); err != nil || len(entries) != 1 {
			t.Errorf("left on the disk: %v, %v", entries, err)
		}
	}
	o := run(t, "record", "-o", "/dev/full", "--format", "pprof", "-d", "500ms", "-p", strconv.Itoa(p.PID))
	if o.exit != 1 || !strings.Contains(o.stderr, "/dev/full") {
		t.Errorf("to /dev/full: exit %d, want 1: %s", o.exit, o.stderr)
	}
	cmd := exec.Command("sh", "-c", `exec "$0" "$@" >/dev/full`, program(), "record", "-o", "-", "-d", "500ms", "-p", strconv.Itoa(p.PID))
	if o := finish(t, cmd); o.exit != 1 || !strings.Contains(o.stderr, "no space left") {
		t.Errorf("to a full standard output: exit %d, want 1: %s", o.exit, o.stderr)
	}
}

// TestTargetExits: the recording ends with its target, complete.
func TestTargetExits(t *testing.T) {
	needRoot(t)
	t.Parallel()
	p := target.Start(t, target.C(t, "split"), "2")
	r := record(t, "-F", "999", "-p", strconv.Itoa(p.PID), "-d", "1h")
	p.Wait(t)
	if d := r.summary.DurationSeconds; d > 120 {
		t.Errorf("recorded for %.1f s", d)
	}
	r.some(t, "the target", 500, inSplit)
	if named := r.count(inSplit); named < r.event.Samples*8/10 {
		t.Errorf("%d of %d samples have a function of the program", named, r.event.Samples)
	}
}

package e2e

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// TestDoctor: where the other tests of this package pass, doctor says that they do.
func TestDoctor(t *testing.T) {
	needRoot(t)
	t.Parallel()
	o := run(t, "doctor", "--json")
	var report struct {
		Schema       int
		CPUProfiling bool `json:"cpu_profiling"`
	}
	if err := json.Unmarshal([]byte(o.stdout), &report); err != nil || o.exit != 0 || report.Schema != 1 || !report.CPUProfiling {
		t.Errorf("exit %d, %v, schema %d, CPU profiling %t\n%s", o.exit, err, report.Schema, report.CPUProfiling, o.stderr)
	}
	if o := run(t, "doctor"); o.exit != 0 || strings.Contains(o.stdout, "\x1b") || o.stdout == "" {
		t.Errorf("exit %d, colours in a pipe: %t\n%s", o.exit, strings.Contains(o.stdout, "\x1b"), o.stdout)
	}
}

// TestVersion: for people and for programs.
func TestVersion(t *testing.T) {
	t.Parallel()
	if o := run(t, "version"); o.exit != 0 || !strings.HasPrefix(o.stdout, "ebpfprof ") {
		t.Errorf("exit %d: %q", o.exit, o.stdout)
	}
	var v struct{ Version, Go, Arch string }
	if o := run(t, "version", "--json"); json.Unmarshal([]byte(o.stdout), &v) != nil || v.Go == "" || v.Arch == "" {
		t.Errorf("exit %d: %q", o.exit, o.stdout)
	}
}

// TestCompletion: the script is one that the shell takes.
func TestCompletion(t *testing.T) {
	t.Parallel()
	need(t, "bash")
	o := run(t, "completion", "bash")
	check := exec.Command("bash", "-n")
	check.Stdin = strings.NewReader(o.stdout)
	if out, err := check.CombinedOutput(); err != nil || o.exit != 0 || o.stdout == "" {
		t.Errorf("exit %d, bash -n: %v\n%s", o.exit, err, out)
	}
}

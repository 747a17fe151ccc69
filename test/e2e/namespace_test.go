package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/internal/target"
)

// inNamespace is a command that runs another as process 1 of a new PID namespace.
func inNamespace(t *testing.T, command ...string) *exec.Cmd {
	t.Helper()
	need(t, "unshare")
	return exec.Command("unshare", append([]string{"--pid", "--fork", "--mount-proc", "--kill-child"}, command...)...)
}

// childOf returns the only child of a process.
func childOf(t *testing.T, pid int) int {
	t.Helper()
	for range 200 {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
		if err != nil {
			t.Fatal(err)
		}
		if child, err := strconv.Atoi(strings.TrimSpace(string(data))); err == nil {
			return child
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("process %d has no child", pid)
	return 0
}

// TestTargetInNamespace: a process in a container is known by the number that we see.
func TestTargetInNamespace(t *testing.T) {
	needRoot(t)
	t.Parallel()
	p := target.StartCommand(t, inNamespace(t, target.C(t, "forker")))
	inside := childOf(t, p.PID)
	r := recordWhile(t, rounds(t, p), "-F", "999", "-p", strconv.Itoa(inside))
	r.some(t, "children of the container's process", 50, in("early_child", "late_child"))
	r.none(t, "samples with a number of the inner namespace", func(s *pprof.Sample) bool { return s.NumLabel["pid"][0] < 100 })
	for _, id := range r.values("pid", in("early_child")) {
		if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", id)); err != nil || !strings.Contains(string(status), fmt.Sprintf("PPid:\t%d\n", inside)) {
			t.Errorf("early_child is process %d, which is no child of %d: %v", id, inside, err)
		}
	}
}

// TestProfilerInNamespace: a profiler in a container takes and shows the numbers that
// it sees there.
func TestProfilerInNamespace(t *testing.T) {
	needRoot(t)
	t.Parallel()
	path := target.C(t, "split")
	other := target.Start(t, path, "60")
	// The third process of the namespace, after the shell and a bystander.
	script := fmt.Sprintf(`%s 60 >/dev/null & %s 60 >/dev/null & echo target $!; exec "$0" "$@" -p $!`, path, path)
	r := recordBy(t, inNamespace(t, "sh", "-c", script, program()), "-F", "999", "-d", "2s")
	inside := int(target.Number(t, r.stdout, "target"))
	r.some(t, "the target by its inner number", 5, and(inSplit, pid(inside)))
	r.none(t, "anything else", not(pid(inside)))
	r.none(t, "a process outside", pid(other.PID))
	if tids := r.values("tid", every); len(tids) != 1 || int(tids[0]) != inside {
		t.Errorf("thread IDs %v, want %d", tids, inside)
	}
}

// TestCommandInNamespace: so does a command that it runs, with its children.
func TestCommandInNamespace(t *testing.T) {
	needRoot(t)
	t.Parallel()
	path := target.C(t, "forker")
	r := recordBy(t, inNamespace(t, program()), "-F", "999", "--", path, "5")
	r.some(t, "children of the command", 50, in("early_child", "late_child"))
	r.some(t, "what a child executed", 50, in("exec_child"))
	r.none(t, "a number from outside", func(s *pprof.Sample) bool { return s.NumLabel["pid"][0] > 1000 })
	r.none(t, "bystanders", comm("split|threads"))
}

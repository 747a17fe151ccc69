package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/ebpfprof/ebpfprof/internal/target"
)

// family checks that the process forker and all kinds of its children are in the
// profile, and nobody else.
func family(t *testing.T, r *recording, parent int) {
	t.Helper()
	for _, function := range []string{"early_child", "late_child", "grand_child", "exec_child"} {
		r.some(t, function, 3, in(function))
	}
	r.none(t, "the children are processes of their own", and(in("late_child", "exec_child"), pid(parent)))
	r.some(t, "children by the name that they took", 3, comm("tool"))
	r.none(t, "bystanders", comm("split"))
	r.none(t, "bystanders", inSplit)
}

// TestPIDFollowsChildren: the children that a process has, and those to come, are
// targets with it, also when their parent has gone or they execute something else.
func TestPIDFollowsChildren(t *testing.T) {
	needRoot(t)
	t.Parallel()
	p := target.Start(t, target.C(t, "forker"), "60")
	target.Start(t, target.C(t, "split"), "60")
	family(t, record(t, "-F", "999", "-p", strconv.Itoa(p.PID), "-d", "3s"), p.PID)
}

// TestPIDHasThreads: all threads of a process, told apart by their thread IDs. Of two
// processes of the same program only the named one.
func TestPIDHasThreads(t *testing.T) {
	needRoot(t)
	t.Parallel()
	path := target.C(t, "threads")
	p := target.Start(t, path, "3", "60")
	other := target.Start(t, path, "1", "60")
	r := record(t, "-F", "999", "-p", strconv.Itoa(p.PID), "-d", "2s")
	r.some(t, "spin_thread", 20, and(in("spin_thread"), pid(p.PID)))
	r.none(t, "another process", not(pid(p.PID)))
	r.none(t, "the other one", pid(other.PID))
	tids := threads(t, p.PID)
	sampled := r.values("tid", every)
	if len(sampled) != 3 {
		t.Errorf("thread IDs %v, want 3", sampled)
	}
	for _, tid := range sampled {
		if !slices.Contains(tids, int(tid)) || int(tid) == p.PID {
			t.Errorf("thread %d is none of the spinning ones of process %d: %v", tid, p.PID, tids)
		}
	}
}

func threads(t *testing.T, pid int) (tids []int) {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		tid, _ := strconv.Atoi(e.Name())
		tids = append(tids, tid)
	}
	return tids
}

// TestSeveralPIDs: a list is all of its processes.
func TestSeveralPIDs(t *testing.T) {
	needRoot(t)
	t.Parallel()
	path := target.C(t, "split")
	a, b, other := target.Start(t, path, "60"), target.Start(t, path, "60"), target.Start(t, path, "60")
	r := record(t, "-F", "999", "-p", fmt.Sprintf("%d,%d", a.PID, b.PID), "-d", "2s")
	r.some(t, "the first", 5, pid(a.PID))
	r.some(t, "the second", 5, pid(b.PID))
	r.none(t, "the third", pid(other.PID))
	r.none(t, "another process", not(pid(a.PID, b.PID)))
}

// named returns a program under a name of the test's own, so that a regular expression
// can mean it and no process of another test.
func named(t *testing.T, path, name string) string {
	t.Helper()
	link := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	return link
}

// TestComm: processes by name, with their children, whatever name these have.
func TestComm(t *testing.T) {
	needRoot(t)
	t.Parallel()
	p := target.Start(t, named(t, target.C(t, "forker"), "kiwi-parent"), "60")
	target.Start(t, target.C(t, "split"), "60")
	family(t, record(t, "-F", "999", "--comm", "^kiwi-p", "-d", "3s"), p.PID)
}

// TestCommOfThreads: threads are chosen from when they have the name; what they did
// before is not theirs.
func TestCommOfThreads(t *testing.T) {
	needRoot(t)
	t.Parallel()
	b := startRecord(t, "-F", "999", "--comm", "^okapi-[12]", "-d", "4s")
	p := target.Start(t, target.C(t, "threads"), "4", "60", "okapi", "1.5")
	r := b.wait(t, 0)
	p.Kill()
	r.some(t, "okapi-1", 5, comm("okapi-1"))
	r.some(t, "okapi-2", 5, comm("okapi-2"))
	r.none(t, "any other thread", not(comm("okapi-[12]")))
	r.none(t, "any other process", not(pid(p.PID)))
}

// TestCommLater: a process that takes the name while we record is a target with the
// children that it has from then on.
func TestCommLater(t *testing.T) {
	needRoot(t)
	t.Parallel()
	b := startRecord(t, "-F", "999", "--comm", "^quokka$", "-d", "5s")
	p := target.Start(t, target.C(t, "forker"), "60", "quokka", "1.5")
	r := b.wait(t, 0)
	p.Kill()
	for _, function := range []string{"late_child", "grand_child", "exec_child"} {
		r.some(t, function, 3, in(function))
	}
	r.none(t, "bystanders", comm("split"))
}

// TestNoSuchComm: nobody has the name, and nothing is guessed.
func TestNoSuchComm(t *testing.T) {
	needRoot(t)
	t.Parallel()
	f := newFiles(t)
	o := run(t, f.args("--comm", "^axolotl$", "-d", "1s")...)
	if o.exit != 5 {
		t.Errorf("exit %d, want 5: no samples\n%s", o.exit, o.stderr)
	}
}

// TestCommandWithTargets: a command is the clock, not the target, when targets are named.
func TestCommandWithTargets(t *testing.T) {
	needRoot(t)
	t.Parallel()
	need(t, "sleep")
	p := target.Start(t, target.C(t, "split"), "60")
	r := recordBy(t, exec.Command(program(t)), "-F", "999", "-p", strconv.Itoa(p.PID), "--", "sleep", "1")
	r.some(t, "the target", 5, pid(p.PID))
	r.none(t, "another process", not(pid(p.PID)))
	if d := r.summary.DurationSeconds; d > 20 {
		t.Errorf("recorded for %.1f s of `sleep 1`", d)
	}
}

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
		r.some(t, function, 20, in(function))
	}
	r.none(t, "the children are processes of their own", and(in("late_child", "exec_child"), pid(parent)))
	r.some(t, "children by the name that they took", 20, comm("tool"))
	r.none(t, "bystanders", comm("split"))
	r.none(t, "bystanders", inSplit)
}

// TestPIDFollowsChildren: the children that a process has, and those to come, are
// targets with it, also when their parent has gone or they execute something else.
func TestPIDFollowsChildren(t *testing.T) {
	needRoot(t)
	t.Parallel()
	p := target.Start(t, target.C(t, "forker"))
	target.Start(t, target.C(t, "split"), "60")
	family(t, recordWhile(t, rounds(t, p), "-F", "999", "-p", strconv.Itoa(p.PID)), p.PID)
}

// TestPIDHasThreads: all threads of a process, told apart by their thread IDs. Of two
// processes of the same program only the named one.
func TestPIDHasThreads(t *testing.T) {
	needRoot(t)
	t.Parallel()
	path := target.C(t, "threads")
	p := target.Start(t, path, "3", "60")
	other := target.Start(t, path, "1", "60")
	r := recordWhile(t, useCPUSeconds(t, 0.9, p.PID), "-F", "999", "-p", strconv.Itoa(p.PID))
	r.some(t, "spin_thread", 500, and(in("spin_thread"), pid(p.PID)))
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
	r := recordWhile(t, useCPU(t, a.PID, b.PID, other.PID), "-F", "999", "-p", fmt.Sprintf("%d,%d", a.PID, b.PID))
	r.some(t, "the first", 150, pid(a.PID))
	r.some(t, "the second", 150, pid(b.PID))
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

// ownName makes a thread's name, of up to 7 bytes more, that no other test run has.
func ownName(name string) string { return fmt.Sprintf("%.5s%d", name, os.Getpid()%1000) }

// TestComm: processes by name, with their children, whatever name these have.
func TestComm(t *testing.T) {
	needRoot(t)
	t.Parallel()
	name := ownName("kiwi")
	p := target.Start(t, named(t, target.C(t, "forker"), name+"-parent"))
	target.Start(t, target.C(t, "split"), "60")
	family(t, recordWhile(t, rounds(t, p), "-F", "999", "--comm", "^"+name+"-p"), p.PID)
}

// TestCommOfThreads: threads are chosen from when they have the name; what they did
// before is not theirs.
func TestCommOfThreads(t *testing.T) {
	needRoot(t)
	t.Parallel()
	name, path := ownName("okapi"), target.C(t, "threads")
	var p *target.Process
	r := recordWhile(t, func() {
		p = target.Start(t, path, "4", "60", name, "0.3")
		useCPUSeconds(t, 4*0.7, p.PID)()
	}, "-F", "999", "--comm", "^"+name+"-[12]")
	r.some(t, "the second", 50, comm(name+"-1"))
	r.some(t, "the third", 50, comm(name+"-2"))
	r.none(t, "any other thread", not(comm(name+"-[12]")))
	r.none(t, "any other process", not(pid(p.PID)))
}

// TestCommLater: a process that takes the name while we record is a target with the
// children that it has from then on.
func TestCommLater(t *testing.T) {
	needRoot(t)
	t.Parallel()
	name, path := ownName("quoka"), target.C(t, "forker")
	r := recordWhile(t, func() {
		rounds(t, target.Start(t, path, "1000", name, "0.5"))()
	}, "-F", "999", "--comm", "^"+name+"$")
	for _, function := range []string{"late_child", "grand_child", "exec_child"} {
		r.some(t, function, 20, in(function))
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
	r := recordBy(t, exec.Command(program()), "-F", "999", "-p", strconv.Itoa(p.PID), "--", "sleep", "1")
	r.some(t, "the target", 1, pid(p.PID))
	r.none(t, "another process", not(pid(p.PID)))
	if d := r.summary.DurationSeconds; d > 20 {
		t.Errorf("recorded for %.1f s of `sleep 1`", d)
	}
}

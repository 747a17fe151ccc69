package guest

import (
	"strconv"
	"testing"
)

const hz = 99

// TestMachine samples both CPUs, busy with a C and a Go program.
func TestMachine(t *testing.T) {
	needGuest(t)
	clock := startReference(t, 2)
	start(t, csplit)
	start(t, gosplit)
	// Compiling unwind tables takes the emulated CPUs a second or two of it.
	r := record(t, "-a", "-d", "6s")
	if r.exit != 0 {
		t.Errorf("exit %d", r.exit)
	}
	if seconds := (r.to - r.from).Seconds(); seconds < 6 || seconds > 8 {
		t.Errorf("duration_seconds = %.2f, asked for 6", seconds)
	}
	// Each timer of a starved guest misses its own ticks; a CPU left out is half of them.
	ticks := clock.ticks(0, r.from, r.to) + clock.ticks(1, r.from, r.to)
	near(t, "samples", float64(r.samples), float64(ticks), 0.1)
	clock.fidelity(t, r, 0, 1)
	for _, pair := range [][2]string{{"spend_most", "spend_rest"}, {"main.spendMost", "main.spendRest"}} {
		most, rest := r.in(pair[0]), r.in(pair[1])
		if most+rest < 100 {
			t.Errorf("%s and %s: %d samples", pair[0], pair[1], most+rest)
			continue
		}
		// 200 samples have a standard deviation of 3 points.
		near(t, "share of "+pair[0], float64(most)/float64(most+rest), 0.7, 0.15)
	}
	// The C program has frame pointers, but in leaf functions: the caller of one is
	// not seen, and from there on everything up to main.
	stacks := func(leaf string) int64 {
		return r.count(func(s stack) bool { return s.has(leaf) && s.has("work") && s.has("main") })
	}
	if whole, all := stacks("spend_most"), r.in("spend_most"); whole*10 < all*9 {
		t.Errorf("%d of %d stacks of spend_most go through work up to main", whole, all)
	}
	if stacks("vfs_read|ksys_read|read_zero|read_iter_zero|new_sync_read") == 0 {
		t.Error("no stack has the kernel's part of read() above work and main")
	}
}

// TestCommand: a command's exit code is ours, its output comes through, and its CPU
// time is that of the samples.
func TestCommand(t *testing.T) {
	needGuest(t)
	clock := startReference(t, 2)
	r := record(t, "--", csplit, "exit", "7", "3")
	if r.exit != 7 {
		t.Errorf("exit %d, the command's was 7", r.exit)
	}
	near(t, "CPU seconds", float64(r.samples)/hz, cpuSeconds(t, r.stdout)*clock.fidelity(t, r, 0, 1), 0.1)
	if r.in("main.spendMost")+r.in("spend_most") == 0 {
		t.Error("no sample in the command's functions")
	}
}

// TestChildren: the children of a process are targets with it, those that it has and
// those to come; other processes are not.
func TestChildren(t *testing.T) {
	needGuest(t)
	target := start(t, csplit, "fork")
	start(t, gosplit)
	r := record(t, "-p", strconv.Itoa(target.Process.Pid), "-d", "3s")
	if r.exit != 0 {
		t.Errorf("exit %d", r.exit)
	}
	for _, function := range []string{"early_child", "late_child"} {
		if r.in(function) == 0 {
			t.Errorf("no sample in %s", function)
		}
	}
	if n := r.in("main.spendMost") + r.in("main.spendRest"); n != 0 {
		t.Errorf("%d samples of a process that is no target", n)
	}
}

// TestHotplug: a CPU that comes back is sampled again. Without that a fifth of the
// samples is missing: the last 2 of about 10 seconds of CPU time.
func TestHotplug(t *testing.T) {
	needGuest(t)
	clock := startReference(t, 1)
	r := record(t, "--", gosplit, "hotplug")
	if r.exit != 0 {
		t.Fatalf("exit %d", r.exit)
	}
	near(t, "CPU seconds", float64(r.samples)/hz, cpuSeconds(t, r.stdout)*clock.fidelity(t, r, 0), 0.12)
}

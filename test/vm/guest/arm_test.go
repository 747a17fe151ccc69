package guest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// needARMPMU skips a test where no armv8 PMU is driven by its real driver.
func needARMPMU(t *testing.T) {
	t.Helper()
	needGuest(t)
	if runtime.GOARCH != "arm64" {
		t.Skip("runs in the arm64 guest")
	}
	const devices = "/sys/bus/event_source/devices/"
	if found, _ := filepath.Glob(devices + "armv8*"); len(found) == 0 {
		all, _ := filepath.Glob(devices + "*")
		t.Fatalf("the guest has no armv8 PMU, only %v", all)
	}
}

// TestARMRecord: cycles of the emulated CPU overflow in the driver's own interrupt, in
// the functions that use the CPU.
func TestARMRecord(t *testing.T) {
	needARMPMU(t)
	const period = 5_000_000
	clock := startReferenceOf(t, 2, unix.PerfEventAttr{
		Type: unix.PERF_TYPE_HARDWARE, Config: unix.PERF_COUNT_HW_CPU_CYCLES, Sample: period,
	})
	start(t, csplit)
	start(t, gosplit)
	r := recordEvent(t, "cycles", "-e", fmt.Sprintf("cycles:%d", period), "-a", "-d", "4s")
	if r.exit != 0 {
		t.Errorf("exit %d", r.exit)
	}
	// The driver takes one sample for an interrupt, however late it comes: how many there
	// are is the host's doing, and the same for both.
	ticks := clock.ticks(0, r.from, r.to) + clock.ticks(1, r.from, r.to)
	near(t, "samples", float64(r.samples), float64(ticks), 0.1)
	for _, pair := range [][2]string{{"spend_most", "spend_rest"}, {"main.spendMost", "main.spendRest"}} {
		most, rest := r.in(pair[0]), r.in(pair[1])
		if most+rest < 100 {
			t.Errorf("%s and %s: %d samples", pair[0], pair[1], most+rest)
			continue
		}
		// On a busy host interrupts come late, and where emulation lets them: 0.58 was seen.
		near(t, "share of "+pair[0], float64(most)/float64(most+rest), 0.7, 0.25)
	}
}

// TestARMStat: a command's cycles are its CPU time, and an event that does not exist has
// a reason and no number.
func TestARMStat(t *testing.T) {
	needARMPMU(t)
	needStat(t)
	exit, stdout, _ := run(t, "stat", "--json", "-e", "cycles,task-clock,cache-misses", "-o", "/tmp/stat.json", "--", csplit, "exit", "0", "2")
	if exit != exitLacking {
		t.Errorf("exit %d with an event that cannot be counted, want %d", exit, exitLacking)
	}
	data, err := os.ReadFile("/tmp/stat.json")
	if err != nil {
		t.Fatalf("%v\n%s", err, stdout)
	}
	var r statReport
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	cycles, clock, misses := r.Events["cycles"], r.Events["task-clock"], r.Events["cache-misses"]
	if cycles.Value == nil || clock.Value == nil {
		t.Fatalf("no cycles or no task-clock:\n%s", data)
	}
	near(t, "cycles in a nanosecond", float64(*cycles.Value)/float64(*clock.Value), 1, 0.02)
	if misses.Value != nil || misses.Error == "" {
		t.Errorf("cache misses, which do not exist here:\n%s", data)
	}
}

// TestARMLacks: no cache event exists there, and record says so.
func TestARMLacks(t *testing.T) {
	needARMPMU(t)
	exit, _, stderr := run(t, "record", "-e", "cache-misses:1000", "-d", "1s", "-o", "/tmp/misses.folded")
	if exit != exitLacking || stderr == "" {
		t.Errorf("exit %d, want %d and a reason: %s", exit, exitLacking, stderr)
	}
}

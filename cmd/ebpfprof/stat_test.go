package main

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/loader/perfevent"
)

// sampleCounting is one of a machine with a PMU that lacks one event and multiplexes others.
func sampleCounting(t *testing.T) (*counting, countTable) {
	t.Helper()
	asked, err := lookupEvents([]string{
		"task-clock", "cycles", "instructions", "cache-references", "cache-misses", "L1-dcache-loads", "L1-dcache-load-misses", "LLC-loads", "page-faults",
	})
	if err != nil {
		t.Fatal(err)
	}
	c := &counting{command: []string{"make"}, asked: asked, cannot: map[int]*perfevent.UnsupportedError{
		7: perfevent.Unsupported(asked[7], syscall.EOPNOTSUPP),
	}}
	c.targets.Child = true
	c.events = append(append(c.events, asked[:7]...), asked[8])
	full := func(v uint64) perfevent.Count { return perfevent.Count{Value: v, Enabled: 3e9, Running: 3e9} }
	third := func(v uint64) perfevent.Count { return perfevent.Count{Value: v, Enabled: 3e9, Running: 1e9} }
	return c, countTable{elapsed: 2 * time.Second, total: []perfevent.Count{
		full(3e9), full(6_000_000_000), full(9_000_000_000), third(100_000), third(25_000),
		third(1000), {Value: 0, Enabled: 3e9}, full(0),
	}}
}

func TestStatJSON(t *testing.T) {
	c, table := sampleCounting(t)
	var b bytes.Buffer
	if err := c.printJSON(&b, &table); err != nil {
		t.Fatal(err)
	}
	var r statReport
	if err := json.Unmarshal(b.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct {
		value int64
		ratio float64
	}{
		"task-clock": {3e9, 1}, "cycles": {6e9, 1}, "cache-references": {300_000, 1.0 / 3}, "cache-misses": {75_000, 1.0 / 3}, "page-faults": {0, 1},
	} {
		e := r.Events[name]
		if e.Value == nil || *e.Value != want.value || e.RunningRatio == nil || math.Abs(*e.RunningRatio-want.ratio) > 1e-9 || e.Error != "" {
			t.Errorf("%s is %+v, want %+v\n%s", name, e, want, b.String())
		}
	}
	for _, name := range []string{"LLC-loads", "L1-dcache-load-misses"} {
		if e := r.Events[name]; e.Value != nil || e.RunningRatio != nil || e.Error == "" {
			t.Errorf("%s is %+v: no value, but a reason", name, e)
		}
	}
	for name, want := range map[string]float64{
		"instructions_per_cycle": 1.5, "cache_miss_ratio": 0.25, "cache_misses_per_kilo_instruction": 75.0 / 9000, "cpus_utilized": 1.5,
	} {
		if got, ok := r.Derived[name]; !ok || math.Abs(got-want) > 1e-12 {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
	if len(r.Derived) != 4 {
		t.Errorf("what is not known is derived: %v", r.Derived)
	}
}

func TestStatText(t *testing.T) {
	c, table := sampleCounting(t)
	var b bytes.Buffer
	if err := c.printText(&b, &table); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Counts of 'make', 2.000000 s", "3000.00 msec task-clock", "1.500  CPUs utilized", "1.50  insn per cycle",
		"25.00% of all cache refs", "(33.33%)", "<not supported>      LLC-loads", "<not counted>      L1-dcache-load-misses",
		"6,000,000,000      cycles", "3.000 G/sec",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "% of all L1-dcache-loads") {
		t.Errorf("a ratio of what was not counted:\n%s", b.String())
	}
}

func TestThousands(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 1234567.5: "1,234,568"} {
		if got := thousands(v); got != want {
			t.Errorf("thousands(%v) = %q, want %q", v, got, want)
		}
	}
}

func TestLookupEvents(t *testing.T) {
	if events, err := lookupEvents([]string{"cycles", "cycles", " page-faults"}); err != nil || len(events) != 2 {
		t.Errorf("%v, %v", events, err)
	}
	if _, err := lookupEvents([]string{"nonsense"}); err == nil || exitCodeOf(err) != exitUsage {
		t.Errorf("nonsense: %v", err)
	}
	if _, err := lookupEvents(perfevent.Names()); err == nil {
		t.Error("more events than can be counted were accepted")
	}
}

func exitCodeOf(err error) int {
	if e, ok := err.(*exitError); ok {
		return e.code
	}
	return 0
}

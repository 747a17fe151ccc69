package loader

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseEvent(t *testing.T) {
	const llcLoadMisses = unix.PERF_COUNT_HW_CACHE_LL | unix.PERF_COUNT_HW_CACHE_RESULT_MISS<<16
	for s, want := range map[string]Event{
		"cpu":                   {"cpu", unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_CPU_CLOCK, 99, 0},
		"cpu@49":                {"cpu", unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_CPU_CLOCK, 49, 0},
		"cpu-clock:1000":        {"cpu-clock", unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_CPU_CLOCK, 0, 1000},
		"page-faults":           {"page-faults", unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_PAGE_FAULTS, 0, 1},
		"faults:100":            {"faults", unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_PAGE_FAULTS, 0, 100},
		"page-faults@10":        {"page-faults", unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_PAGE_FAULTS, 10, 0},
		"cache-misses:10007":    {"cache-misses", unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_CACHE_MISSES, 0, 10007},
		"LLC-load-misses":       {"LLC-load-misses", unix.PERF_TYPE_HW_CACHE, llcLoadMisses, 99, 0},
		"L1-dcache-stores":      {"L1-dcache-stores", unix.PERF_TYPE_HW_CACHE, unix.PERF_COUNT_HW_CACHE_OP_WRITE << 8, 99, 0},
		"r412e":                 {"r412e", unix.PERF_TYPE_RAW, 0x412e, 99, 0},
		"r412e:5":               {"r412e", unix.PERF_TYPE_RAW, 0x412e, 0, 5},
		"branch-instructions@7": {"branch-instructions", unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_BRANCH_INSTRUCTIONS, 7, 0},
	} {
		if e, err := ParseEvent(s, 99); err != nil || e != want {
			t.Errorf("ParseEvent(%q) = %+v, %v, want %+v", s, e, err, want)
		}
	}
	for s, want := range map[string]string{
		"nonsense": "unknown event", "": "unknown event", "nonsense:5": "unknown event", "rx": "unknown event",
		"cpu@": "frequency", "cpu@0": "frequency", "cpu@x": "frequency", "cpu@1000000": "limit",
		"page-faults:0": "period", "page-faults:": "period", "page-faults:u": "period", "sched:": "",
		"../x:y": "unknown event", "sched:..": "unknown event", "L1-icache-stores": "unknown event",
	} {
		if e, err := ParseEvent(s, 99); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseEvent(%q) = %+v, %v, want %q", s, e, err, want)
		}
	}
}

func TestParseTracepoint(t *testing.T) {
	if unix.Geteuid() != 0 {
		t.Skip("needs root: reads tracefs")
	}
	one, err := ParseEvent("sched:sched_switch", 99)
	if err != nil {
		t.Fatal(err)
	}
	if one.Type != unix.PERF_TYPE_TRACEPOINT || one.Config == 0 || one.Period != 1 || one.Frequency != 0 {
		t.Errorf("sched:sched_switch is %+v", one)
	}
	many, err := ParseEvent("sched:sched_switch:100", 99)
	if err != nil || many.Period != 100 || many.Config != one.Config || many.Name != "sched:sched_switch" {
		t.Errorf("sched:sched_switch:100 is %+v, %v", many, err)
	}
	if e, err := ParseEvent("sched:no_such_thing", 99); err == nil || !strings.Contains(err.Error(), "no such tracepoint") {
		t.Errorf("sched:no_such_thing is %+v, %v", e, err)
	}
}

func FuzzSplitEvent(f *testing.F) {
	f.Add("cpu@99")
	f.Add("sched:sched_switch:100")
	f.Fuzz(func(t *testing.T, s string) {
		name, rate, period, err := splitEvent(s)
		if err == nil && (len(name) > len(s) || rate != 0 && period != 0) {
			t.Errorf("%q is %q, %d, %d", s, name, rate, period)
		}
	})
}

package perfevent

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

func TestScaled(t *testing.T) {
	for name, test := range map[string]struct {
		n     Count
		want  float64
		ok    bool
		ratio float64
	}{
		"all the time":       {Count{1 << 53, 10, 10}, 1 << 53, true, 1},
		"a third":            {Count{100, 300, 100}, 300, true, 1.0 / 3},
		"never on the PMU":   {Count{0, 300, 0}, 0, false, 0},
		"nothing ran":        {Count{0, 0, 0}, 0, true, 1},
		"clocks that differ": {Count{7, 10, 11}, 7, true, 1},
	} {
		if v, ok := test.n.Scaled(); ok != test.ok || math.Abs(v-test.want) > 1e-6 {
			t.Errorf("%s: %v, %t, want %v, %t", name, v, ok, test.want, test.ok)
		}
		if r := test.n.Ratio(); math.Abs(r-test.ratio) > 1e-9 {
			t.Errorf("%s: ratio %v, want %v", name, r, test.ratio)
		}
	}
	// Scaling by differences: what was counted before the second reading does not weigh on what came after it.
	first, second := Count{100, 100, 100}, Count{150, 300, 150}
	if v, ok := second.Sub(first).Scaled(); !ok || v != 200 {
		t.Errorf("a difference scales to %v, %t", v, ok)
	}
	if got := first.Add(second.Sub(first)); got != second {
		t.Errorf("%+v", got)
	}
}

func TestQuotient(t *testing.T) {
	third := Count{10, 300, 100}
	for name, test := range map[string]struct {
		a, b Count
		want float64
		ok   bool
	}{
		"of one group":  {third, Count{100, 300, 100}, 0.1, true},
		"of two groups": {third, Count{100, 300, 200}, 0.2, true},
		"no base":       {third, Count{0, 300, 300}, 0, false},
		"base unknown":  {third, Count{0, 300, 0}, 0, false},
		"unknown":       {Count{0, 300, 0}, third, 0, false},
	} {
		if q, ok := Quotient(test.a, test.b); ok != test.ok || math.Abs(q-test.want) > 1e-9 {
			t.Errorf("%s: %v, %t, want %v, %t", name, q, ok, test.want, test.ok)
		}
	}
	for name, want := range map[string]string{
		"cache-misses": "cache-references", "instructions": "cycles", "branch-misses": "branches", "LLC-load-misses": "LLC-loads",
		"dTLB-store-misses": "dTLB-stores", "L1-icache-prefetch-misses": "L1-icache-prefetches", "cycles": "", "page-faults": "",
	} {
		if got := Base(name); got != want {
			t.Errorf("%s is a part of %q, want %q", name, got, want)
		}
	}
}

func TestFamilies(t *testing.T) {
	families := map[string][]string{}
	for _, name := range []string{
		"page-faults", "cycles", "L1-dcache-loads", "cpu-cycles", "instructions", "cache-references", "cache-misses", "branches",
		"L1-dcache-load-misses", "branch-misses", "L1-dcache-stores", "r1a8",
	} {
		e, err := Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		if f := e.family(); f != "" {
			families[f] = append(families[f], name)
		}
	}
	want := map[string][]string{
		"core":     {"cycles", "cpu-cycles", "instructions", "cache-references", "cache-misses"},
		"branches": {"branches", "branch-misses"}, "L1-dcache-load": {"L1-dcache-loads", "L1-dcache-load-misses"},
		"L1-dcache-store": {"L1-dcache-stores"},
	}
	if !reflect.DeepEqual(families, want) {
		t.Errorf("%v, want %v", families, want)
	}
	// Software events are each their own group, and all are in one.
	events := []Event{{Name: "page-faults"}, {Name: "context-switches"}}
	events[0].Type, events[1].Type = 1, 1
	if g := Groups(events); !reflect.DeepEqual(g, [][]int{{0}, {1}}) {
		t.Errorf("%v", g)
	}
}

// fixture is a machine that has files.
func fixture(t *testing.T, files map[string]string) machine {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return machine{root}
}

func TestUnsupported(t *testing.T) {
	misses, _ := Lookup("cache-misses")
	cycles, _ := Lookup("cycles")
	faults, _ := Lookup("page-faults")
	guest := map[string]string{"proc/cpuinfo": "processor\t: 0\nflags\t\t: fpu hypervisor avx2\n"}
	metal := map[string]string{"proc/cpuinfo": "processor\t: 0\nflags\t\t: fpu avx2\n"}
	arm := map[string]string{"proc/cpuinfo": "CPU implementer\t: 0x41\n", "sys/bus/event_source/devices/armv8_pmuv3/type": "8"}
	for name, test := range map[string]struct {
		files           map[string]string
		e               Event
		err             error
		reason, instead string
	}{
		"guest":         {guest, misses, syscall.ENOENT, "the hypervisor passes none through", "page-faults"},
		"metal":         {metal, cycles, syscall.ENOENT, "no hardware PMU", "task-clock"},
		"other PMU":     {arm, misses, syscall.ENOENT, "this CPU's PMU does not count it", "page-faults"},
		"not permitted": {guest, misses, syscall.EACCES, "not permitted", ""},
		"frozen":        {arm, cycles, errFrozen, "never moves", "task-clock"},
		"old kernel":    {guest, faults, syscall.EINVAL, "this kernel does not count it", ""},
	} {
		u := unsupported(test.e, os.NewSyscallError("perf_event_open", test.err), fixture(t, test.files))
		if !strings.Contains(u.Reason, test.reason) || u.Instead != test.instead || !strings.Contains(u.Error(), test.e.Name) {
			t.Errorf("%s: %+v", name, u)
		}
	}
}

func TestCacheLevel(t *testing.T) {
	for text, want := range map[string]string{
		"processor\t: 0\nvendor_id\t: GenuineIntel\n": "llc", "vendor_id\t: AuthenticAMD\n": "l2",
		"processor\t: 0\nCPU implementer\t: 0x41\n": "l1d", "vendor_id\t: CentaurHauls\n": "unknown", "": "unknown",
	} {
		if got := fixture(t, map[string]string{"proc/cpuinfo": text}).cacheLevel(); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// What is asked to be sampled is told of what can be sampled instead.
func TestCanSample(t *testing.T) {
	faults, err := Lookup("page-faults")
	if err != nil {
		t.Fatal(err)
	}
	if err := CanSample(faults); err != nil && !denied(err) {
		t.Error(err)
	}
	never := Event{Name: "cache-misses", Type: 1 << 20}
	u, ok := errors.AsType[*UnsupportedError](CanSample(never))
	if !ok || u.Reason == "" || u.Event != never.Name {
		t.Errorf("an event of no PMU: %v", u)
	}
}

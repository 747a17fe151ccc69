package probe

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/ebpfprof/ebpfprof/pkg/loader/perfevent"
)

func TestMachineWithout(t *testing.T) {
	const device = "sys/bus/event_source/devices/"
	virtual := &fstest.MapFile{Data: []byte("processor : 0\nflags : fpu hypervisor lahf_lm\n\nprocessor : 1\n")}
	for want, c := range map[string]struct {
		root fstest.MapFS
		err  error
	}{
		"no hardware PMU": {fstest.MapFS{device + "software/type": {}}, syscall.ENOENT},
		"no hardware PMU: the hypervisor passes none through":             {fstest.MapFS{"proc/cpuinfo": virtual}, syscall.ENOENT},
		"this CPU's PMU does not count it":                                {fstest.MapFS{device + "cpu/type": {}, "proc/cpuinfo": virtual}, syscall.ENOENT},
		"the PMU counts nothing: the hypervisor only pretends to have it": {fstest.MapFS{device + "armv8_pmuv3_0/type": {}}, syscall.ENODEV},
	} {
		if got := machineWithout(c.root, c.err); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestExplainEvent(t *testing.T) {
	misses, err := perfevent.Lookup("cache-misses")
	if err != nil {
		t.Fatal(err)
	}
	faults, err := perfevent.Lookup("page-faults")
	if err != nil {
		t.Fatal(err)
	}
	if err := ExplainEvent(faults, nil); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		event perfevent.Event
		err   error
		words []string
	}{
		{misses, syscall.EOPNOTSUPP, []string{"cache-misses", "PMU", "-e cpu"}},
		{misses, fmt.Errorf("open: %w", syscall.EACCES), []string{"does not allow", "doctor"}},
		{misses, syscall.EBUSY, []string{"another user"}},
		{faults, syscall.ENOENT, []string{"this kernel does not have it"}},
	} {
		err := ExplainEvent(c.event, c.err)
		if !errors.Is(err, c.err) || ExplainEvent(c.event, err) != err {
			t.Errorf("%v is not one event error that wraps %v", err, c.err)
		}
		for _, word := range c.words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q has no %q", err, word)
			}
		}
	}
}

// What the kernel counts itself can be sampled wherever we may at all.
func TestSampling(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: opens events of a whole CPU")
	}
	for _, name := range []string{"cpu", "page-faults", "context-switches", "sched:sched_switch"} {
		e, err := perfevent.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(Sampling(e), Counting(e)); err != nil {
			t.Error(err)
		}
	}
	nothing := perfevent.Event{Name: "nothing", Type: 1, Config: 1 << 20}
	if _, ok := errors.AsType[*EventError](Sampling(nothing)); !ok {
		t.Error("an event that does not exist can be sampled")
	}
}

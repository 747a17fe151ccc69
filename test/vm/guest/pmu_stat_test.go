package guest

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// statReport is what `stat --json` prints.
type statReport struct {
	Events  map[string]statEvent `json:"events"`
	Derived map[string]float64   `json:"derived"`
	Rows    []struct {
		PID    int                  `json:"pid"`
		Events map[string]statEvent `json:"events"`
	} `json:"rows"`
}

type statEvent struct {
	Value        *uint64  `json:"value"`
	RunningRatio *float64 `json:"running_ratio"`
	Error        string   `json:"error"`
}

// needStat skips a test for a build that does not count yet.
func needStat(t *testing.T) {
	t.Helper()
	if exit, _, stderr := run(t, "stat", "--help"); exit != 0 {
		t.Skipf("SKIP: this ebpfprof has no stat: %s", strings.TrimSpace(stderr))
	}
}

// stat counts all events of the fake PMU, ended as by runUntil.
func stat(t *testing.T, over <-chan struct{}, args ...string) (r statReport) {
	t.Helper()
	var names []string
	for _, e := range pmuEvents() {
		names = append(names, e.name)
	}
	exit, stdout, _ := runUntil(t, over, append([]string{"stat", "--json", "-e", strings.Join(names, ",")}, args...)...)
	if exit != 0 {
		t.Fatalf("exit %d", exit)
	}
	// A command's own output comes before.
	at := max(strings.Index(stdout, "\n{")+1, 0)
	if err := json.Unmarshal([]byte(stdout[at:]), &r); err != nil {
		t.Fatalf("its output is no JSON: %v\n%s", err, stdout)
	}
	return r
}

// checkCounts: every event has what was injected, and nothing else.
func checkCounts(t *testing.T, what string, events map[string]statEvent, i injector) {
	t.Helper()
	for _, e := range pmuEvents() {
		got := events[e.name]
		if got.Value == nil {
			t.Errorf("%s: %s has no value: %s", what, e.name, got.Error)
		} else if *got.Value != i.sum(e.id) {
			t.Errorf("%s: %s is %d, injected %d", what, e.name, *got.Value, i.sum(e.id))
		}
		if got.RunningRatio != nil && *got.RunningRatio != 1 {
			t.Errorf("%s: %s ran %v of the time", what, e.name, *got.RunningRatio)
		}
	}
}

// TestPMUStat: a command's counts are what it injected, and what is derived from them is
// the ratio of known numbers.
func TestPMUStat(t *testing.T) {
	needPMU(t)
	needStat(t)
	set(t, "ncounters", "12")
	set(t, "exact", "inject")
	i := everything(300, 200*time.Microsecond)
	r := stat(t, nil, append([]string{"--"}, i.argv()...)...)
	checkCounts(t, "command", r.Events, i)
	sum := func(id int) float64 { return float64(i.sum(id)) }
	for name, want := range map[string]float64{
		"instructions_per_cycle":            sum(idInstructions) / sum(idCycles),
		"cache_miss_ratio":                  sum(idMisses) / sum(idReferences),
		"cache_misses_per_kilo_instruction": 1000 * sum(idMisses) / sum(idInstructions),
	} {
		if got, ok := r.Derived[name]; !ok || got < want*(1-1e-9) || got > want*(1+1e-9) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

// TestPMUStatTargets: of two programs that share the CPUs, each is counted without the
// other: by process, by control group, and in the rows of the whole machine.
func TestPMUStatTargets(t *testing.T) {
	needPMU(t)
	needStat(t)
	set(t, "ncounters", "12")
	set(t, "exact", "inject")
	groups := [2]string{newCgroup(t, "stat0"), newCgroup(t, "stat1")}
	for _, kind := range []string{"process", "cgroup", "machine"} {
		t.Run(kind, func(t *testing.T) {
			programs := [2]injector{everything(250, 300*time.Microsecond), everything(350, 300*time.Microsecond)}
			programs[1].cpus = "1,0"
			running := [2]*waiting{programs[0].start(t, groups[0]), programs[1].start(t, groups[1])}
			args := map[string][]string{
				"process": {"-p", fmt.Sprint(running[0].cmd.Process.Pid)},
				"cgroup":  {"--cgroup", "/" + filepath.Base(groups[0])},
				"machine": {"-a", "--per", "process"},
			}[kind]
			over, ended := make(chan struct{}), make(chan statReport, 1)
			go func() {
				defer close(ended)
				ended <- stat(t, over, args...)
			}()
			// The counters of what waits are on no CPU, but they are open: one for each CPU, or for
			// the process. Each was tried before, one after the other.
			counters := len(pmuEvents())
			if kind != "process" {
				counters *= 2
			}
			awaitCounters(t, counters)
			for _, w := range running {
				w.begin(t)
			}
			for _, w := range running {
				w.wait(t)
			}
			close(over)
			r := <-ended
			if kind != "machine" {
				checkCounts(t, kind, r.Events, programs[0])
				return
			}
			rows := map[int]map[string]statEvent{}
			for _, row := range r.Rows {
				rows[row.PID] = row.Events
			}
			for n, i := range programs {
				checkCounts(t, fmt.Sprintf("process %d", n), rows[running[n].cmd.Process.Pid], i)
			}
		})
	}
}

// TestPMUStatMultiplexed: with a counter for every third event, what is scaled up is
// within 2 % of the rates over the CPU time that was counted with it, for a command and
// for a process among all.
func TestPMUStatMultiplexed(t *testing.T) {
	needPMU(t)
	needStat(t)
	set(t, "ncounters", "4")
	check := func(t *testing.T, events map[string]statEvent) {
		t.Helper()
		clock := events["task-clock"].Value
		if clock == nil {
			t.Fatalf("no task-clock: %v", events)
		}
		for _, e := range pmuEvents() {
			got := events[e.name]
			if got.Value == nil || got.RunningRatio == nil {
				t.Errorf("%s has no value or running_ratio: %s", e.name, got.Error)
				continue
			}
			near(t, "scaled "+e.name, float64(*got.Value), rateOf(t, e.id)*float64(*clock)/1e9, 0.02)
			if *got.RunningRatio > 0.7 { // groups of different sizes take different shares
				t.Errorf("%s ran %.2f of the time", e.name, *got.RunningRatio)
			}
		}
	}
	t.Run("command", func(t *testing.T) {
		check(t, stat(t, nil, append([]string{"-e", "task-clock", "--"}, spinning(1500*time.Millisecond).argv()...)...).Events)
	})
	t.Run("machine", func(t *testing.T) {
		// A slice that the host took in between a count and its times is one in many.
		w := spinning(4500*time.Millisecond).start(t, "")
		over, ended := make(chan struct{}), make(chan statReport, 1)
		go func() {
			defer close(ended)
			ended <- stat(t, over, "-e", "task-clock", "-a", "--per", "process")
		}()
		awaitCounters(t, 2*(len(pmuEvents())+1))
		w.begin(t)
		w.wait(t)
		close(over)
		for _, row := range (<-ended).Rows {
			if row.PID == w.cmd.Process.Pid {
				check(t, row.Events)
				return
			}
		}
		t.Error("no row of the process")
	})
}

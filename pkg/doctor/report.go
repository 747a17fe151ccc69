package doctor

import (
	"fmt"
	"slices"
)

// Schema is the version of the report's JSON. Fields may be added without a
// new version; none changes its meaning or goes away.
const Schema = 1

// The status of a probe.
const (
	StatusOK      = "ok"
	StatusMissing = "missing" // the kernel does not have it
	StatusDenied  = "denied"  // the kernel refused
	StatusUnknown = "unknown" // the probe failed otherwise
)

// Probe is what the kernel answered when something was tried.
type Probe struct {
	Kind      string `json:"kind"` // hook, map, helper, event, feature
	Name      string `json:"name"`
	Status    string `json:"status"`
	CountOnly bool   `json:"count_only,omitempty"` // an event that counts but cannot sample
	Detail    string `json:"detail,omitempty"`
	Error     string `json:"error,omitempty"`
}

// What a command or event does on this machine.
const (
	Works   = "works"
	Limited = "limited" // works, with Problems
	Fails   = "fails"
)

// Verdict is about one command or event. A verdict that Fails has a Problem.
type Verdict struct {
	Name     string    `json:"name"`
	Status   string    `json:"status"`
	Planned  bool      `json:"planned,omitempty"` // the machine can or cannot; this version does not record it yet
	Problems []Problem `json:"problems,omitempty"`
}

// Problem is something that is missing, what it costs, and what to do about it.
type Problem struct {
	What string `json:"what"`
	Fix  string `json:"fix,omitempty"` // "" = nothing can be done on this machine
}

// Report is the whole diagnosis.
type Report struct {
	Schema       int    `json:"schema"`
	CPUProfiling bool   `json:"cpu_profiling"` // record -e cpu works, possibly limited
	Summary      string `json:"summary"`
	Facts
	Probes   []Probe   `json:"probes"`
	Commands []Verdict `json:"commands"`
	Events   []Verdict `json:"events"`
	Warnings []string  `json:"warnings"`
}

// Options say what the report is for.
type Options struct {
	Executable string   // this program's file, for commands to run; "" if unknown
	Recordable []string // names of the events that this version records
}

// Diagnose combines facts and probes. A probe that was not made counts as
// unknown. The report shares memory with its arguments.
func Diagnose(facts Facts, probes []Probe, opts Options) Report {
	d := diagnosis{facts: facts, probes: map[string]Probe{}, opts: opts}
	for _, p := range probes {
		d.probes[p.Kind+" "+p.Name] = p
	}
	r := Report{Schema: Schema, Facts: facts, Probes: probes, Events: d.events(), Warnings: d.warnings()}
	r.Commands = d.commands(r.Events[0])
	r.CPUProfiling = r.Events[0].Status != Fails
	r.Summary = summary(r.Events[0])
	return r
}

// summary is the first thing that a person reads.
func summary(cpu Verdict) string {
	switch cpu.Status {
	case Works:
		return "record -e cpu works on this machine"
	case Limited:
		return "record -e cpu works on this machine, with limits"
	}
	return "record -e cpu does not work here: " + cpu.Problems[0].What
}

// commands judges the commands of this version.
func (d diagnosis) commands(cpu Verdict) []Verdict {
	record := Verdict{Name: "record", Status: cpu.Status, Problems: cpu.Problems}
	if record.Status != Fails {
		record.Problems = append(record.Problems[:len(record.Problems):len(record.Problems)], d.targetProblems()...)
		if len(record.Problems) > 0 {
			record.Status = Limited
		}
	}
	return []Verdict{record, d.stat(), {Name: "convert", Status: Works}, {Name: "doctor", Status: Works}}
}

// targetProblems are the ways of choosing targets that do not work.
func (d diagnosis) targetProblems() []Problem {
	var problems []Problem
	if p := d.probe("hook", "tp_btf"); p.Status != StatusOK {
		problems = append(problems, Problem{"-p, --comm and -- CMD do not follow children: " + d.describe(p), d.fix(p)})
	}
	if !d.facts.Environment.Systemd {
		problems = append(problems, Problem{"--unit: systemd does not run here", "use -p, --comm or --cgroup"})
	}
	if d.facts.Cgroup.Version == "none" {
		problems = append(problems, Problem{"--cgroup, --container: no cgroup hierarchy is mounted", "mount -t cgroup2 cgroup2 /sys/fs/cgroup"})
	}
	return problems
}

// warnings are facts that a person should know though nothing fails for them.
func (d diagnosis) warnings() []string {
	warnings := []string{}
	s := d.facts.Security
	if bad := d.facts.Kernel.Version.knownBad(); bad != "" {
		warnings = append(warnings, bad)
	}
	if s.PerfEventMaxSampleRate != nil && *s.PerfEventMaxSampleRate < 1000 {
		warnings = append(warnings, fmt.Sprintf("kernel.perf_event_max_sample_rate is %d: sampling at a higher frequency fails. "+
			"The kernel lowers it when interrupts take long; sysctl kernel.perf_event_max_sample_rate=100000 restores it", *s.PerfEventMaxSampleRate))
	}
	if s.BPFJIT != nil && *s.BPFJIT == 0 {
		warnings = append(warnings, "net.core.bpf_jit_enable is 0: BPF programs are interpreted, which multiplies their cost; sysctl net.core.bpf_jit_enable=1")
	}
	if s.Lockdown == "confidentiality" {
		warnings = append(warnings, "kernel lockdown is in confidentiality mode: BPF programs cannot read kernel memory, so profiles lack what depends on it")
	}
	if p := d.probe("feature", "run_time_stats"); p.Status == StatusDenied && len(d.facts.Privileges.uncovered(NeedRequired)) == 0 {
		why := d.describe(p)
		if slices.Contains(names(d.facts.Privileges.uncovered(NeedOptional)), "CAP_SYS_ADMIN") {
			why = "missing CAP_SYS_ADMIN"
		}
		warnings = append(warnings, "the kernel's measurement of the time that BPF programs take cannot be switched on: "+why)
	}
	return warnings
}

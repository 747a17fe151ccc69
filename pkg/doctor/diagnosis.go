package doctor

import (
	"slices"
	"strings"
)

// diagnosis is a Report in the making.
type diagnosis struct {
	facts  Facts
	probes map[string]Probe // by kind and name
	opts   Options
}

func (d diagnosis) probe(kind, name string) Probe {
	if p, ok := d.probes[kind+" "+name]; ok {
		return p
	}
	return Probe{Kind: kind, Name: name, Status: StatusUnknown, Error: "not probed"}
}

// need is what an event cannot do without: one of the probes named, in the
// order of preference.
type need struct {
	kind  string
	anyOf []string
}

// eventSpec is an event that -e names, or will.
type eventSpec struct {
	name     string
	needs    []need
	hardware bool   // counted by the PMU, not by the kernel
	instead  string // what to use where the event cannot be had
}

// eventSpecs are the events of -e. The first is cpu.
func eventSpecs() []eventSpec {
	base := []need{{"feature", []string{"btf"}}, {"map", []string{"ringbuf"}}}
	with := func(kind string, anyOf ...string) []need {
		return append(base[:len(base):len(base)], need{kind, anyOf})
	}
	software := func(name, instead string) eventSpec {
		return eventSpec{name: name, needs: append(with("hook", "perf_event"), need{"event", []string{name}}), instead: instead}
	}
	uprobe := with("hook", "uprobe_multi", "uprobe")
	specs := []eventSpec{
		{name: "cpu", needs: append(with("hook", "perf_event"), need{"event", []string{"cpu-clock"}})},
		{name: "off-cpu", needs: with("hook", "tp_btf")},
		{name: "alloc", needs: uprobe, instead: "page-faults"},
		{name: "heap", needs: uprobe, instead: "page-faults"},
		software("page-faults", ""),
		software("minor-faults", ""),
		software("major-faults", ""),
		software("context-switches", ""),
		software("cpu-migrations", ""),
		{name: "SUBSYSTEM:NAME", needs: append(with("feature", "tracefs"), need{"hook", []string{"tracepoint"}})},
	}
	for _, e := range []struct{ name, instead string }{
		{"cycles", "cpu"}, {"instructions", "cpu"}, {"branches", "cpu"}, {"branch-misses", "cpu"},
		{"cache-references", "page-faults"}, {"cache-misses", "page-faults"},
		{"L1-dcache-loads", "page-faults"}, {"L1-dcache-load-misses", "page-faults"},
		{"L1-icache-loads", "cpu"}, {"L1-icache-load-misses", "cpu"},
		{"LLC-loads", "page-faults"}, {"LLC-load-misses", "page-faults"},
	} {
		spec := software(e.name, e.instead)
		spec.hardware = true
		specs = append(specs, spec)
	}
	return specs
}

func (d diagnosis) events() []Verdict {
	var verdicts []Verdict
	for _, spec := range eventSpecs() {
		v := d.judge(spec)
		v.Planned = !slices.Contains(d.opts.Recordable, spec.name)
		verdicts = append(verdicts, v)
	}
	return verdicts
}

// judge finds the needs of an event that are not met, or else the limits.
func (d diagnosis) judge(spec eventSpec) Verdict {
	v := Verdict{Name: spec.name, Status: Works}
	var unmet []Probe
	for _, n := range spec.needs {
		met := func(name string) bool {
			p := d.probe(n.kind, name)
			return p.Status == StatusOK && !p.CountOnly
		}
		if !slices.ContainsFunc(n.anyOf, met) {
			unmet = append(unmet, d.probe(n.kind, n.anyOf[0]))
		}
	}
	// What the machine does not have comes before what it does not allow.
	slices.SortStableFunc(unmet, func(a, b Probe) int { return rank(a) - rank(b) })
	for _, p := range unmet {
		if p.Status == StatusUnknown && len(v.Problems) > 0 {
			continue // most likely a consequence
		}
		problem := Problem{d.describe(p), d.fix(p)}
		if spec.hardware && p.Kind == "event" && p.Status != StatusDenied {
			problem = d.noCounter(p)
		}
		if spec.instead != "" && p.Status != StatusDenied {
			problem.Fix = joinNonEmpty("; ", problem.Fix, "use -e "+spec.instead)
		}
		if !slices.Contains(v.Problems, problem) {
			v.Status, v.Problems = Fails, append(v.Problems, problem)
		}
	}
	if v.Status == Fails {
		return v
	}
	if v.Problems = d.stackProblems(); len(v.Problems) > 0 {
		v.Status = Limited
	}
	return v
}

func rank(p Probe) int {
	return slices.Index([]string{StatusMissing, StatusDenied, StatusUnknown}, p.Status)
}

func joinNonEmpty(sep string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), sep)
}

// stackProblems are what every profile that is taken here lacks.
func (d diagnosis) stackProblems() []Problem {
	var problems []Problem
	if lacking := d.facts.Privileges.uncovered(NeedRecommended); len(lacking) > 0 {
		problems = append(problems, Problem{"some functions get no names: missing " + strings.Join(names(lacking), ", "), d.grant(append(d.held(), lacking...))})
	}
	s := d.facts.Security
	switch {
	case s.KernelSymbols == symbolsAbsent:
		problems = append(problems, Problem{"no kernel function names: /proc/kallsyms is absent or unreadable", ""})
	case s.KernelSymbols == symbolsHidden && s.KptrRestrict != nil && *s.KptrRestrict > 1:
		problems = append(problems, Problem{"no kernel function names: /proc/kallsyms shows no addresses", "sysctl kernel.kptr_restrict=1"})
	}
	if e := d.facts.Environment; !e.InitialPIDNamespace {
		problems = append(problems, Problem{"processes outside of this PID namespace get no names: the process runs in a container without the host's PIDs",
			"docker run --pid=host, or hostPID: true in Kubernetes"})
	}
	return problems
}

package doctor

import "strings"

// stat judges the command that counts. Counting needs less than sampling: no program for a command, processes and the
// whole machine, and no interrupt of the PMU.
func (d diagnosis) stat() Verdict {
	v := Verdict{Name: "stat", Status: Works}
	var order []Problem
	lacking := map[Problem][]string{}
	counted := 0
	for _, spec := range eventSpecs() {
		p := d.probe("event", spec.name)
		if p.Error == "not probed" {
			continue // no perf event
		}
		if p.Status == StatusOK {
			counted++
			continue
		}
		problem := Problem{d.describe(p), d.fix(p)}
		if spec.hardware && p.Status != StatusDenied {
			problem = d.noCounter(p)
		}
		if lacking[problem] == nil {
			order = append(order, problem)
		}
		lacking[problem] = append(lacking[problem], spec.name)
	}
	for _, p := range order {
		if p.What != "" && strings.HasPrefix(p.What, "missing ") && counted == 0 {
			v.Problems = append(v.Problems, p) // a privilege: all events lack it
			continue
		}
		v.Problems = append(v.Problems, Problem{"not counted: " + strings.Join(lacking[p], ", ") + ": " + p.What, p.Fix})
	}
	if p := d.probe("hook", "tp_btf"); p.Status != StatusOK {
		v.Problems = append(v.Problems, Problem{"--per, --comm, --cgroup, --container, --unit do not work: " + d.describe(p), d.fix(p)})
	}
	switch {
	case counted == 0:
		v.Status = Fails
	case len(v.Problems) > 0:
		v.Status = Limited
	}
	if v.Status == Fails && len(v.Problems) == 0 {
		v.Problems = []Problem{{What: "no event was tried"}}
	}
	return v
}

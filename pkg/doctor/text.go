package doctor

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// WriteText prints the report for a person: the verdict, the facts, and what
// works and what does not. Colour is for terminals.
func (r Report) WriteText(w io.Writer, colour bool) error {
	t := text{colour: colour, fixed: map[Problem]bool{}}
	t.verdict(r)
	t.facts(r.Facts)
	t.probes(r.Probes)
	t.title("Commands")
	t.verdicts(r.Commands)
	var now, planned []Verdict
	for _, v := range r.Events {
		if v.Planned {
			planned = append(planned, v)
		} else {
			now = append(now, v)
		}
	}
	t.title("Events")
	t.verdicts(now)
	if len(planned) > 0 {
		t.title("Events that this version does not record, but this machine might")
		t.verdicts(planned)
	}
	if len(r.Warnings) > 0 {
		t.title("Warnings")
		for _, warning := range r.Warnings {
			t.printf("  %s\n", warning)
		}
	}
	_, err := io.WriteString(w, t.out.String())
	return err
}

// Widths of the text: its labels, the words of status, and lists of names.
const (
	labelWidth  = 12
	statusWidth = 9
	listWidth   = 100
)

// text is the output in the making.
type text struct {
	out    strings.Builder
	colour bool
	fixed  map[Problem]bool // what to do about it has been printed
}

func (t *text) printf(format string, args ...any) { fmt.Fprintf(&t.out, format, args...) }

func (t *text) title(title string) { t.printf("\n%s\n", title) }

// row prints "label  value", continued under the value.
func (t *text) row(label string, values ...string) {
	for _, value := range values {
		t.printf("%-*s%s\n", labelWidth, label, value)
		label = ""
	}
}

// status is a word of status, padded and coloured.
func (t *text) status(s string) string {
	padded := fmt.Sprintf("%-*s", statusWidth, s)
	if !t.colour {
		return padded
	}
	code := map[string]string{StatusOK: "32", Works: "32", StatusDenied: "31", Fails: "31"}[s]
	if code == "" {
		code = "33"
	}
	return "\x1b[" + code + "m" + padded + "\x1b[0m"
}

func (t *text) verdict(r Report) {
	summary := r.Summary
	if t.colour {
		summary = "\x1b[1m" + summary + "\x1b[0m"
	}
	t.printf("%s\n", summary)
	if cpu := r.Events[0]; cpu.Status == Fails && cpu.Problems[0].Fix != "" {
		t.printf("  -> %s\n", cpu.Problems[0].Fix)
		t.fixed[cpu.Problems[0]] = true
	}
	t.printf("\n")
}

func (t *text) facts(f Facts) {
	version := ""
	if v := f.Kernel.Version.String(); !strings.HasPrefix(f.Kernel.Release, v) {
		version = " (" + v + ")"
	}
	t.row("Kernel", fmt.Sprintf("%s%s, %s, CPUs: %d", printable(f.Kernel.Release), version, f.Kernel.Arch, f.Kernel.CPUs))
	if f.BTF.Present {
		t.row("BTF", fmt.Sprintf("%.1f MiB, modules: %d", float64(f.BTF.Bytes)/(1<<20), f.BTF.Modules))
	} else {
		t.row("BTF", "absent")
	}
	t.row("Privileges", privilegeRows(f.Privileges)...)
	t.row("Security", securityRows(f.Security)...)
	t.row("Symbols", "/proc/kallsyms "+map[string]string{
		symbolsShown: "shows addresses", symbolsHidden: "shows zeros for addresses", symbolsAbsent: "is absent or unreadable",
	}[f.Security.KernelSymbols])
	pmu := "none seen"
	if len(f.PMU.Devices) > 0 {
		pmu = strings.Join(f.PMU.Devices, ", ")
	}
	if f.PMU.VirtualMachine {
		pmu += " (virtual machine)"
	}
	t.row("PMU", pmu)
	cgroups := f.Cgroup.Version
	if f.Cgroup.V2Mount != "" {
		cgroups += " (v2 hierarchy at " + printable(f.Cgroup.V2Mount) + ")"
	}
	t.row("Cgroups", cgroups)
	t.row("Runs in", environmentRow(f.Environment))
}

func privilegeRows(p Privileges) []string {
	user := fmt.Sprintf("uid %d", p.UID)
	if p.UID < 0 {
		user = "uid unknown"
	}
	if !p.InitialUserNamespace {
		user += " in a user namespace, whose capabilities do not count for BPF"
	}
	var rows []string
	for _, c := range p.Capabilities {
		if c.Need != NeedNone && !c.Covered {
			rows = append(rows, fmt.Sprintf("missing %s (%s, %s): %s", c.Name, c.Need, c.Since, c.Purpose))
		}
	}
	if len(rows) == 0 {
		return []string{user + ", all capabilities of use here"}
	}
	return append([]string{user}, rows...)
}

func securityRows(s Security) []string {
	number := func(n *int64) string {
		if n == nil {
			return "unknown"
		}
		return fmt.Sprint(*n)
	}
	lockdown := s.Lockdown
	if lockdown == "" {
		lockdown = "unknown"
	}
	seccomp := "no seccomp filter"
	if s.SeccompFilter {
		seccomp = "seccomp filter"
	}
	memlock := "unknown"
	if s.MemlockBytes != nil {
		memlock = fmt.Sprintf("%d KiB", *s.MemlockBytes/1024)
		if *s.MemlockBytes < 0 {
			memlock = "unlimited"
		}
	}
	relevance := "does not limit BPF since 5.11"
	if s.MemlockMatters {
		relevance = "limits BPF maps before 5.11"
	}
	return []string{
		fmt.Sprintf("lockdown %s, %s, memlock %s (%s)", lockdown, seccomp, memlock, relevance),
		fmt.Sprintf("perf_event_paranoid %s, perf_event_max_sample_rate %s", number(s.PerfEventParanoid), number(s.PerfEventMaxSampleRate)),
		fmt.Sprintf("unprivileged_bpf_disabled %s, kptr_restrict %s, bpf_jit_enable %s",
			number(s.UnprivilegedBPFDisabled), number(s.KptrRestrict), number(s.BPFJIT)),
	}
}

func environmentRow(e Environment) string {
	parts := []string{"the initial PID namespace"}
	if !e.InitialPIDNamespace {
		parts[0] = "a PID namespace of its own"
	}
	if e.Container != "" {
		parts = append(parts, "container ("+e.Container+")")
	}
	switch {
	case e.Init == "":
		parts = append(parts, "PID 1 unknown")
	default:
		parts = append(parts, "PID 1 is "+e.Init)
	}
	if !e.Systemd {
		parts = append(parts, "no systemd")
	}
	return strings.Join(parts, ", ")
}

// probes prints, for each kind, the names by status, with one line for each
// reason.
func (t *text) probes(probes []Probe) {
	kinds := []struct{ kind, label string }{
		{"hook", "Hooks"}, {"map", "Maps"}, {"helper", "Helpers"}, {"event", "Counters"}, {"feature", "Other"},
	}
	t.printf("\n")
	for _, k := range kinds {
		label := k.label
		for _, status := range []string{StatusOK, StatusDenied, StatusMissing, StatusUnknown} {
			var groups []group
			for _, p := range probes {
				if p.Kind == k.kind && p.Status == status {
					groups = add(groups, reason(p), p.Name)
				}
			}
			for _, g := range groups {
				t.list(fmt.Sprintf("%-*s", labelWidth, label)+t.status(status), labelWidth+statusWidth, g.names, g.why)
				label = ""
			}
		}
	}
}

// reason is why a probe is not ok, short: the detail, or else the error, which
// for a refusal is the same whatever was tried.
func reason(p Probe) string {
	switch {
	case p.Status == StatusOK && !p.CountOnly:
		return ""
	case p.Detail != "":
		return p.Detail
	case p.Status == StatusDenied:
		return strings.TrimSpace(p.Error[strings.LastIndex(p.Error, ":")+1:])
	}
	return p.Error
}

// group is names with the same to be said about them.
type group struct {
	why   string
	names []string
}

func add(groups []group, why, name string) []group {
	i := slices.IndexFunc(groups, func(g group) bool { return g.why == why })
	if i < 0 {
		return append(groups, group{why, []string{name}})
	}
	groups[i].names = append(groups[i].names, name)
	return groups
}

// list prints names, wrapped and indented under the first, then the reason.
func (t *text) list(prefix string, indent int, names []string, why string) {
	t.printf("%s", prefix)
	column := indent
	for i, name := range names {
		if i > 0 && column+2+len(name) > listWidth {
			t.printf(",\n%*s", indent, "")
			column = indent
		} else if i > 0 {
			t.printf(", ")
			column += 2
		}
		t.printf("%s", name)
		column += len(name)
	}
	if why != "" {
		t.printf(": %s", why)
	}
	t.printf("\n")
}

// verdicts prints commands or events, those with the same verdict together.
func (t *text) verdicts(verdicts []Verdict) {
	for _, status := range []string{Works, Limited, Fails} {
		var groups []group
		for _, v := range verdicts {
			if v.Status == status {
				groups = add(groups, problemKey(v.Problems), v.Name)
			}
		}
		for _, g := range groups {
			t.list("  "+t.status(status), 2+statusWidth, g.names, "")
			i := slices.IndexFunc(verdicts, func(v Verdict) bool { return v.Name == g.names[0] })
			t.problems(verdicts[i].Problems)
		}
	}
}

func problemKey(problems []Problem) string { return fmt.Sprintf("%q", problems) }

// problems prints the lines under a verdict; what to do about a problem only
// the first time.
func (t *text) problems(problems []Problem) {
	for _, p := range problems {
		t.printf("%*s%s\n", 2+statusWidth+2, "", p.What)
		if p.Fix != "" && !t.fixed[p] {
			t.printf("%*s-> %s\n", 2+statusWidth+2, "", p.Fix)
		}
		t.fixed[p] = true
	}
}

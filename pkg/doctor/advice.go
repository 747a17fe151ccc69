package doctor

import (
	"fmt"
	"slices"
	"strings"
)

// describe says in words what a probe that is not ok found out.
func (d diagnosis) describe(p Probe) string {
	label := map[string]string{
		"feature btf":     "kernel type information (BTF)",
		"feature tracefs": "tracefs",
		"map ringbuf":     "the BPF ring buffer",
	}[p.Kind+" "+p.Name]
	if label == "" {
		label = p.Kind + " " + p.Name
	}
	switch p.Status {
	case StatusMissing:
		switch p.Name {
		case "btf":
			return "the kernel offers no type information: /sys/kernel/btf/vmlinux is absent"
		case "tracefs":
			return "tracefs is not mounted"
		}
		return joinNonEmpty(": ", "this kernel has no "+strings.TrimPrefix(label, "the "), p.Detail)
	case StatusDenied:
		if lacking := names(d.facts.Privileges.uncovered(NeedRequired)); len(lacking) > 0 {
			return "missing " + strings.Join(lacking, ", ")
		}
		return label + " is refused in spite of the capabilities: " + d.refuser()
	}
	return joinNonEmpty(": ", label, p.Error)
}

// refuser guesses what refuses a process that has the capabilities. The kernel
// does not tell.
func (d diagnosis) refuser() string {
	var suspects []string
	s := d.facts.Security
	if s.SeccompFilter {
		suspects = append(suspects, "a seccomp filter is active")
	}
	if s.Lockdown != "" && s.Lockdown != "none" {
		suspects = append(suspects, "kernel lockdown is in "+s.Lockdown+" mode")
	}
	if slices.Contains(names(d.facts.Privileges.uncovered(NeedOptional)), "CAP_SYS_ADMIN") {
		suspects = append(suspects, "CAP_SYS_ADMIN is missing, which some kernels want for it")
	}
	if s.PerfEventParanoid != nil && *s.PerfEventParanoid > 2 {
		suspects = append(suspects, fmt.Sprintf("kernel.perf_event_paranoid is %d", *s.PerfEventParanoid))
	}
	if len(suspects) == 0 {
		return "a policy of this kernel"
	}
	return "a policy of this kernel; " + strings.Join(suspects, ", ")
}

// fix is what to do about a probe that is not ok, "" if there is nothing.
func (d diagnosis) fix(p Probe) string {
	switch {
	case p.Status == StatusDenied && len(d.facts.Privileges.uncovered(NeedRequired)) > 0:
		return d.grant(append(d.facts.Privileges.uncovered(NeedRequired), d.facts.Privileges.uncovered(NeedRecommended)...))
	case p.Status == StatusDenied && d.facts.Security.SeccompFilter && d.facts.Environment.Container != "":
		return "run the container without a seccomp filter (--security-opt seccomp=unconfined)"
	case p.Status == StatusDenied && d.facts.Security.PerfEventParanoid != nil && *d.facts.Security.PerfEventParanoid > 2:
		return "sysctl kernel.perf_event_paranoid=2"
	case p.Name == "btf":
		return "run a kernel with CONFIG_DEBUG_INFO_BTF=y, as distributions ship since 2021"
	case p.Name == "tracefs" && p.Status == StatusMissing:
		return "mount -t tracefs tracefs /sys/kernel/tracing"
	case p.Name == "ringbuf" && p.Status == StatusMissing:
		return "run Linux 5.8 or later"
	}
	return ""
}

// grant says how to get capabilities.
func (d diagnosis) grant(caps []Capability) string {
	withheld := slices.ContainsFunc(caps, func(c Capability) bool { return !c.Grantable })
	switch list := strings.Join(names(caps), ", "); {
	case !d.facts.Privileges.InitialUserNamespace:
		return "run outside of the user namespace, as root"
	case d.facts.Environment.Container == "kubernetes" && (withheld || d.facts.Privileges.UID == 0):
		return "set securityContext.capabilities.add: [" + strings.ReplaceAll(list, "CAP_", "") + "]"
	case d.inContainer() && (withheld || d.facts.Privileges.UID == 0):
		return "start the container with --cap-add " + strings.ReplaceAll(strings.ReplaceAll(list, ", ", " --cap-add "), "CAP_", "")
	case withheld:
		return "run where the capability bounding set has " + list
	case d.facts.Privileges.UID == 0:
		return "run as a root that keeps " + list
	}
	exe := d.opts.Executable
	if exe == "" {
		exe = "/path/to/ebpfprof"
	}
	return fmt.Sprintf("sudo ebpfprof ..., or once: sudo setcap %s=ep %s", strings.ToLower(strings.Join(names(caps), ",")), exe)
}

func (d diagnosis) inContainer() bool {
	return d.facts.Environment.Container != "" || !d.facts.Environment.InitialPIDNamespace
}

func names(caps []Capability) []string {
	var list []string
	for _, c := range caps {
		list = append(list, c.Name)
	}
	return list
}

// noCounter says why a hardware event is not to be had.
func (d diagnosis) noCounter(p Probe) Problem {
	switch {
	case p.CountOnly:
		return Problem{What: p.Detail}
	case p.Status == StatusMissing && !d.anyHardware() && d.facts.PMU.VirtualMachine:
		return Problem{"no hardware PMU: the hypervisor passes none through",
			"choose a machine type with a PMU (qemu: -cpu host,pmu=on)"}
	case p.Status == StatusMissing && !d.anyHardware():
		return Problem{What: "no hardware PMU"}
	case p.Status == StatusMissing:
		return Problem{What: "this CPU's PMU does not count it"}
	}
	return Problem{What: p.Error}
}

// anyHardware is true if the PMU counts anything at all.
func (d diagnosis) anyHardware() bool {
	return slices.ContainsFunc(eventSpecs(), func(spec eventSpec) bool {
		return spec.hardware && d.probe("event", spec.name).Status != StatusMissing
	})
}

// held are the required capabilities, which setcap would otherwise take away.
func (d diagnosis) held() []Capability {
	var required []Capability
	for _, c := range d.facts.Privileges.Capabilities {
		if c.Need == NeedRequired {
			required = append(required, c)
		}
	}
	return required
}

package doctor

import (
	"strconv"
	"strings"

	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

// How much a capability is needed on this kernel.
const (
	NeedRequired    = "required"    // nothing is profiled without it
	NeedRecommended = "recommended" // profiles lack something without it
	NeedOptional    = "optional"    // a convenience
	NeedNone        = "none"        // of no use on this kernel
)

// Capability is one of this process's capabilities(7).
type Capability struct {
	Name      string `json:"name"`
	Held      bool   `json:"held"`      // in the effective set
	Covered   bool   `json:"covered"`   // held, or another that is held grants the same
	Grantable bool   `json:"grantable"` // in the bounding set: sudo or a file capability can give it
	Need      string `json:"need"`
	Since     string `json:"since"` // the kernel since which it suffices, or until which it is needed
	Purpose   string `json:"purpose"`
}

// capabilities judges the sets of s on a kernel of version v. Symbols is true
// where kernel addresses are visible anyway.
func capabilities(s status, v Version, symbols bool) []Capability {
	admin := s.effective.Has(proc.CapSysAdmin)
	split := v.AtLeast(5, 8, 0) || v == Version{} // CAP_BPF and CAP_PERFMON exist
	restore := v.AtLeast(5, 9, 0) || v == Version{}
	pick := func(cond bool, yes, no string) string {
		if cond {
			return yes
		}
		return no
	}
	entry := func(c proc.Capability, need, since, purpose string, byAdmin bool) Capability {
		held := s.effective.Has(c)
		return Capability{c.String(), held, held || byAdmin && admin, s.bounding.Has(c), need, since, purpose}
	}
	return []Capability{
		entry(proc.CapBPF, pick(split, NeedRequired, NeedNone), "since 5.8",
			"load BPF programs", true),
		entry(proc.CapPerfmon, pick(split, NeedRequired, NeedNone), "since 5.8",
			"sample all processes and the kernel, read memory in BPF programs", true),
		entry(proc.CapSysAdmin, pick(split, NeedOptional, NeedRequired), "needed before 5.8",
			pick(split, "measure the cost of the BPF programs", "load BPF programs and sample all processes"), true),
		entry(proc.CapSysPtrace, NeedRecommended, "on every kernel",
			"read the mappings of other users' processes, for their function names", false),
		entry(proc.CapDACReadSearch, NeedRecommended, "on every kernel",
			"open binaries that only their owner may read, for their function names", false),
		entry(proc.CapCheckpointRestore, pick(restore, NeedRecommended, NeedNone), "since 5.9",
			"open deleted and replaced binaries through /proc/PID/map_files", true),
		entry(proc.CapSyslog, pick(symbols, NeedOptional, NeedRecommended), "on every kernel",
			"read kernel addresses, for kernel function names", false),
		entry(proc.CapSysResource, pick(v.AtLeast(5, 11, 0) || v == Version{}, NeedNone, NeedRequired), "needed before 5.11",
			"raise RLIMIT_MEMLOCK, which BPF maps count against", false),
	}
}

// uncovered lists the capabilities of a level of need that this process lacks.
func (p Privileges) uncovered(need string) []Capability {
	var lacking []Capability
	for _, c := range p.Capabilities {
		if c.Need == need && (!c.Covered || need == NeedRequired && !p.InitialUserNamespace) {
			lacking = append(lacking, c)
		}
	}
	return lacking
}

// status is what /proc/PID/status says about a process's privileges.
type status struct {
	uid       int // effective; -1 = unknown
	effective proc.CapabilitySet
	bounding  proc.CapabilitySet
	seccomp   bool // a filter is active
}

// parseStatus reads a /proc/PID/status (proc_pid_status(5)). Lines that it does
// not understand count as absent.
func parseStatus(text string) status {
	s := status{uid: -1}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(line, ":")
		fields := strings.Fields(value)
		if len(fields) == 0 {
			continue
		}
		switch key {
		case "Uid": // real, effective, saved, file system
			if len(fields) > 1 {
				if uid, err := strconv.ParseUint(fields[1], 10, 32); err == nil {
					s.uid = int(uid)
				}
			}
		case "CapEff", "CapBnd":
			set, err := strconv.ParseUint(fields[0], 16, 64)
			if err != nil {
				continue
			}
			if key == "CapEff" {
				s.effective = proc.CapabilitySet(set)
			} else {
				s.bounding = proc.CapabilitySet(set)
			}
		case "Seccomp": // 0 off, 1 strict, 2 filter
			s.seccomp = fields[0] == "2"
		}
	}
	return s
}

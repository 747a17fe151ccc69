// Package doctor says what this machine lets the profiler do, what it does
// not, and what to do about it. Gather reads the facts of the machine from
// files, Diagnose combines them with what the kernel answered to probes into a
// Report, and the Report prints itself.
//
// It knows nothing of BPF: the probes are made elsewhere and handed in, so that
// a diagnosis can be tested for machines that are not at hand.
package doctor

// Facts is what files say about the machine and about this process. What could
// not be read is nil, zero or "", as documented; it is never an error.
type Facts struct {
	Kernel      Kernel      `json:"kernel"`
	BTF         BTF         `json:"btf"`
	Privileges  Privileges  `json:"privileges"`
	Security    Security    `json:"security"`
	PMU         PMU         `json:"pmu"`
	Cgroup      Cgroup      `json:"cgroup"`
	Environment Environment `json:"environment"`
}

// Kernel identifies the running kernel.
type Kernel struct {
	Release string  `json:"release"` // as uname -r says
	Version Version `json:"version"` // of the upstream release it is built from
	Arch    string  `json:"arch"`    // as uname -m says, else GOARCH
	CPUs    int     `json:"cpus"`    // online; 0 = unknown
}

// BTF is the kernel's type information, which CO-RE programs need.
type BTF struct {
	Present bool  `json:"present"`
	Bytes   int64 `json:"bytes"`
	Modules int   `json:"modules"` // kernel modules with BTF of their own
}

// Privileges are those of this process.
type Privileges struct {
	UID                  int          `json:"uid"` // effective; -1 = unknown
	InitialUserNamespace bool         `json:"initial_user_namespace"`
	Capabilities         []Capability `json:"capabilities"`
}

// Security is what restricts even a privileged process. A pointer is nil where
// the file is absent or unreadable.
type Security struct {
	Lockdown                string `json:"lockdown"` // none, integrity, confidentiality; "" = unknown
	PerfEventParanoid       *int64 `json:"perf_event_paranoid"`
	PerfEventMaxSampleRate  *int64 `json:"perf_event_max_sample_rate"`
	UnprivilegedBPFDisabled *int64 `json:"unprivileged_bpf_disabled"`
	KptrRestrict            *int64 `json:"kptr_restrict"`
	BPFJIT                  *int64 `json:"bpf_jit_enable"`
	KernelSymbols           string `json:"kernel_symbols"` // shown, hidden, absent
	SeccompFilter           bool   `json:"seccomp_filter"`
	MemlockMatters          bool   `json:"memlock_matters"`     // kernels before 5.11
	MemlockBytes            *int64 `json:"memlock_limit_bytes"` // soft limit; -1 = unlimited
}

// PMU is the hardware's own counting unit.
type PMU struct {
	Devices        []string `json:"devices"` // under /sys/bus/event_source that are CPU PMUs
	VirtualMachine bool     `json:"virtual_machine"`
}

// Cgroup says how control groups are mounted.
type Cgroup struct {
	Version string `json:"version"` // v1, v2, hybrid, none
	V2Mount string `json:"v2_mount"`
}

// Environment is where this process runs.
type Environment struct {
	InitialPIDNamespace bool   `json:"initial_pid_namespace"`
	Container           string `json:"container"` // its manager, as far as known; "" = none seen
	Init                string `json:"init"`      // the name of PID 1; "" = unknown
	Systemd             bool   `json:"systemd"`   // systemd manages this machine's services
}

package proc

import "fmt"

// A Capability is a number of include/uapi/linux/capability.h.
type Capability uint8

// The capabilities that matter to a profiler.
const (
	CapDACReadSearch     Capability = 2
	CapKill              Capability = 5
	CapIPCLock           Capability = 14
	CapSysModule         Capability = 16
	CapSysPtrace         Capability = 19
	CapSysAdmin          Capability = 21
	CapSysResource       Capability = 24
	CapSyslog            Capability = 34
	CapPerfmon           Capability = 38 // since Linux 5.8, before part of CapSysAdmin
	CapBPF               Capability = 39 // since Linux 5.8, before part of CapSysAdmin
	CapCheckpointRestore Capability = 40 // since Linux 5.9, before part of CapSysAdmin
)

// String returns the name as in capabilities(7), such as "CAP_BPF".
func (c Capability) String() string {
	names := [...]string{
		"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID",
		"SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
		"SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
		"SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
		"MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
		"CHECKPOINT_RESTORE",
	}
	if int(c) < len(names) {
		return "CAP_" + names[c]
	}
	return fmt.Sprintf("CAP_%d", uint8(c))
}

// A CapabilitySet has bit n set for capability n.
type CapabilitySet uint64

// Has tells whether c itself is in the set. CAP_SYS_ADMIN implies CAP_BPF,
// CAP_PERFMON and CAP_CHECKPOINT_RESTORE for the kernel's checks, not here.
func (s CapabilitySet) Has(c Capability) bool { return c < 64 && s&(1<<c) != 0 }

// List returns the capabilities in ascending order.
func (s CapabilitySet) List() []Capability {
	var list []Capability
	for c := range Capability(64) {
		if s.Has(c) {
			list = append(list, c)
		}
	}
	return list
}

// Capabilities returns the effective capabilities of a process's main thread (pid
// 0 is this process). They count for BPF and perf only in the initial user
// namespace: compare Namespace(pid, "user") with InitUserNamespace.
func (f FS) Capabilities(pid int) (CapabilitySet, error) {
	b, err := f.readPID(pid, "status")
	if err != nil {
		return 0, err
	}
	status, err := parseStatus(b)
	if err != nil {
		return 0, fmt.Errorf("process %s: %w", pidName(pid), err)
	}
	return CapabilitySet(status.capEff), nil
}

package probe

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

// PrivilegeError says which capabilities this process lacks for loading and
// attaching BPF programs, and what to run instead.
type PrivilegeError struct {
	Missing       []string // capability names, never empty
	UserNamespace bool     // capabilities are held, but in a user namespace only
	Executable    string   // this program's file, or "" if unknown
}

func (e *PrivilegeError) Error() string {
	names := strings.Join(e.Missing, " and ")
	if e.UserNamespace {
		return fmt.Sprintf("missing %s: the capabilities of a user namespace do not count for BPF; "+
			"run `sudo ebpfprof ...` outside of it", names)
	}
	exe := e.Executable
	if exe == "" {
		exe = "/path/to/ebpfprof"
	}
	return fmt.Sprintf("missing %s: run `sudo ebpfprof ...`, or once `sudo setcap %s=ep %s`",
		names, strings.ToLower(strings.Join(e.Missing, ",")), exe)
}

// Privileges reports nil if the effective capabilities of this process suffice
// for loading and attaching BPF programs, else a *PrivilegeError. It makes
// three system calls and tries nothing; a kernel may still refuse, which Run
// finds out.
//
// CAP_BPF with CAP_PERFMON suffice since 5.8 (commits 2c78ee898d8f and
// 980737282232); before, and instead of them still, CAP_SYS_ADMIN does.
func Privileges() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return os.NewSyscallError("capget", err)
	}
	effective := proc.CapabilitySet(sets[1].Effective)<<32 | proc.CapabilitySet(sets[0].Effective)
	var uname unix.Utsname
	if err := unix.Uname(&uname); err != nil {
		return os.NewSyscallError("uname", err)
	}
	major, minor := release(unix.ByteSliceToString(uname.Release[:]))
	userNS, err := proc.FS{}.Namespace(0, "user")
	nested := err == nil && userNS != proc.InitUserNamespace

	missing := lacking(effective, major, minor)
	if nested && len(missing) == 0 {
		missing = lacking(0, major, minor)
	}
	if len(missing) == 0 {
		return nil
	}
	exe, err := os.Executable()
	if err != nil {
		exe = ""
	}
	return &PrivilegeError{Missing: missing, UserNamespace: nested, Executable: exe}
}

// lacking names what a process with these effective capabilities lacks on a
// kernel of this version.
func lacking(effective proc.CapabilitySet, major, minor int) []string {
	needed := []proc.Capability{proc.CapBPF, proc.CapPerfmon}
	if major < 5 || major == 5 && minor < 8 {
		needed = []proc.Capability{proc.CapSysAdmin}
	}
	if effective.Has(proc.CapSysAdmin) {
		return nil
	}
	var missing []string
	for _, c := range needed {
		if !effective.Has(c) {
			missing = append(missing, c.String())
		}
	}
	return missing
}

// release reads the version in what uname(2) calls release, "6.1.0-9-amd64".
// Anything else is 0.0.
func release(s string) (major, minor int) {
	if n, _ := fmt.Sscanf(s, "%d.%d", &major, &minor); n != 2 {
		return 0, 0
	}
	return major, minor
}

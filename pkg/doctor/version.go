package doctor

import (
	"fmt"
	"strings"
)

// Version is a kernel version. The zero value is "unknown", and older than any.
type Version struct{ Major, Minor, Patch int }

// AtLeast compares.
func (v Version) AtLeast(major, minor, patch int) bool {
	switch {
	case v.Major != major:
		return v.Major > major
	case v.Minor != minor:
		return v.Minor > minor
	}
	return v.Patch >= patch
}

func (v Version) String() string {
	if v == (Version{}) {
		return "unknown"
	}
	return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch)
}

// MarshalText writes "6.1.192", or "unknown".
func (v Version) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (v *Version) UnmarshalText(text []byte) error {
	if string(text) == "unknown" {
		*v = Version{}
		return nil
	}
	parsed, ok := parseVersion(string(text))
	if !ok {
		return fmt.Errorf("parse kernel version %q", text)
	}
	*v = parsed
	return nil
}

// parseVersion reads "6.18.44-fc", "6.1.0-56-cloud-amd64", "6.4-rc1".
func parseVersion(s string) (Version, bool) {
	var v Version
	if n, _ := fmt.Sscanf(s, "%d.%d.%d", &v.Major, &v.Minor, &v.Patch); n < 2 || v.Major < 0 || v.Minor < 0 || v.Patch < 0 {
		return Version{}, false
	}
	return v, true
}

// upstreamVersion is the version of the upstream release that a kernel is built
// from. Debian's and Ubuntu's releases do not tell: they stay at 6.1.0 for ABI
// compatibility. Debian says it in `uname -v` ("#1 SMP PREEMPT_DYNAMIC Debian
// 6.1.192-1 (2026-07-01)"), Ubuntu in /proc/version_signature ("Ubuntu
// 6.2.0-36.37~22.04.1-generic 6.2.16").
func upstreamVersion(release, build, signature string) Version {
	if fields := strings.Fields(signature); len(fields) == 3 && fields[0] == "Ubuntu" {
		if v, ok := parseVersion(fields[2]); ok {
			return v
		}
	}
	if _, after, ok := strings.Cut(build, "Debian "); ok {
		if v, ok := parseVersion(after); ok {
			return v
		}
	}
	v, _ := parseVersion(release)
	return v
}

// knownBad is a warning about a kernel with a bug that a profiler triggers, or
// "".
//
// From 5.19 on, copy_from_user_nofault() could take a lock that the code it
// interrupted already held, so bpf_probe_read_user() in a timer interrupt could
// freeze the machine (parca-agent issue 1675, seen on 6.1.25; Debian bug
// 1033398). Fixed by d319f344561d in 6.4, and in 6.1.36 and 6.3.10; 5.19, 6.0
// and 6.2 were out of support by then.
func (v Version) knownBad() string {
	fixed := v.AtLeast(6, 4, 0) ||
		v.Major == 6 && v.Minor == 3 && v.Patch >= 10 ||
		v.Major == 6 && v.Minor == 1 && v.Patch >= 36
	if fixed || !v.AtLeast(5, 19, 0) {
		return ""
	}
	return fmt.Sprintf("kernel %s: reading user memory from a timer interrupt, as every BPF profiler does, could freeze machines "+
		"with kernels from 5.19 on until commit d319f344561d (in 6.1.36, 6.3.10, 6.4). "+
		"Update the kernel, unless your distribution has backported that commit", v)
}

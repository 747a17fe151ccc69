package proc

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A CgroupMount is a place where a cgroup hierarchy is mounted.
type CgroupMount struct {
	Hierarchy   int      // as in Cgroup
	Controllers []string // as in Cgroup
	MountPoint  string   // path in our mount namespace
	// Root is the cgroup that stands at MountPoint: "/" for the whole hierarchy as
	// our cgroup namespace has it, "/docker/..." where a container has its part.
	Root string
}

// dir returns where the cgroup of the given path is, if it is below this mount.
func (m CgroupMount) dir(path string) (string, bool) {
	root := strings.TrimSuffix(m.Root, "/")
	rest, ok := strings.CutPrefix(path, root)
	if !ok || (rest != "" && rest[0] != '/') {
		return "", false
	}
	return strings.TrimSuffix(m.MountPoint+rest, "/"), true
}

// path returns the cgroup whose directory is dir, if it is below this mount.
func (m CgroupMount) path(dir string) (string, bool) {
	rest, ok := strings.CutPrefix(dir, strings.TrimSuffix(m.MountPoint, "/"))
	if !ok || (rest != "" && rest[0] != '/') {
		return "", false
	}
	return orDefault(strings.TrimSuffix(m.Root, "/")+rest, "/"), true
}

// CgroupMounts returns all mounts of cgroup hierarchies that this process sees,
// version 2 first, then by hierarchy number.
func (f FS) CgroupMounts() ([]CgroupMount, error) {
	mounts, err := f.mounts(0)
	if err != nil {
		return nil, fmt.Errorf("find cgroup mounts: %w", err)
	}
	hierarchies, err := f.Cgroups(0)
	if err != nil {
		return nil, fmt.Errorf("find cgroup hierarchies: %w", err)
	}
	return cgroupMounts(mounts, hierarchies), nil
}

// cgroupMounts finds the hierarchy of each mount: the super block options of a
// version 1 mount contain exactly its controllers, among others such as "rw".
func cgroupMounts(mounts []mount, hierarchies []Cgroup) []CgroupMount {
	var found []CgroupMount
	for _, m := range mounts {
		switch m.fstype {
		case "cgroup2":
			found = append(found, CgroupMount{MountPoint: m.point, Root: m.root})
		case "cgroup":
			options := strings.Split(m.superOptions, ",")
			for _, h := range hierarchies {
				if h.Hierarchy != 0 && len(h.Controllers) > 0 && containsAll(options, h.Controllers) {
					found = append(found, CgroupMount{h.Hierarchy, h.Controllers, m.point, m.root})
					break
				}
			}
		}
	}
	slices.SortStableFunc(found, func(a, b CgroupMount) int { return a.Hierarchy - b.Hierarchy })
	return found
}

func containsAll(set, want []string) bool {
	for _, w := range want {
		if !slices.Contains(set, w) {
			return false
		}
	}
	return true
}

// A mount is one line of /proc/PID/mountinfo, see proc_pid_mountinfo(5).
type mount struct {
	id           uint64
	dev          uint64 // in the kernel's encoding
	root, point  string
	fstype       string
	superOptions string
}

// mounts returns the mounts that a process (0 is this one) sees.
func (f FS) mounts(pid int) ([]mount, error) {
	b, err := readBounded(f.procPath(pidName(pid), "mountinfo"), maxMountinfo)
	if err != nil {
		return nil, err
	}
	return parseMountinfo(b)
}

// parseMountinfo reads lines such as
//
//	36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
//
// with any number of optional fields before the " - ". Spaces, tabs, newlines and
// backslashes within a field are octal escapes.
func parseMountinfo(b []byte) ([]mount, error) {
	var mounts []mount
	for line := range bytes.Lines(b) {
		m, err := parseMount(strings.TrimSuffix(string(line), "\n"))
		if err != nil {
			return mounts, fmt.Errorf("parse mountinfo: line %.120q: %w", line, err)
		}
		mounts = append(mounts, m)
	}
	return mounts, nil
}

var errMountFields = errors.New("too few fields")

func parseMount(line string) (mount, error) {
	var m mount
	before, after, _ := strings.Cut(line, " - ")
	// Single spaces only: the source may be empty, and a path may hold the
	// white space of Unicode.
	head, tail := strings.Split(before, " "), strings.SplitN(after, " ", 3)
	if len(head) < 6 || len(tail) < 3 {
		return m, errMountFields
	}
	id, err := strconv.ParseUint(head[0], 10, 64)
	if err != nil {
		return m, err
	}
	majorText, minorText, _ := strings.Cut(head[2], ":")
	major, err := strconv.ParseUint(majorText, 10, 12)
	if err != nil {
		return m, err
	}
	minor, err := strconv.ParseUint(minorText, 10, 20)
	if err != nil {
		return m, err
	}
	return mount{
		id:           id,
		dev:          kernelDev(major, minor),
		root:         unescapeOctal(head[3]),
		point:        unescapeOctal(head[4]),
		fstype:       unescapeOctal(tail[0]),
		superOptions: unescapeOctal(tail[2]),
	}, nil
}

// unescapeOctal undoes the kernel's mangle_path: \040 is a space.
func unescapeOctal(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && isOctal(s[i+1], '3') && isOctal(s[i+2], '7') && isOctal(s[i+3], '7') {
			out.WriteByte((s[i+1]-'0')<<6 | (s[i+2]-'0')<<3 | (s[i+3] - '0'))
			i += 3
			continue
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

func isOctal(c, highest byte) bool { return c >= '0' && c <= highest }

// kernelDev packs a device number as the kernel's dev_t does (MKDEV in
// include/linux/kdev_t.h), which is not how stat(2) gives it.
func kernelDev(major, minor uint64) uint64 { return major<<20 | minor&(1<<20-1) }

package proc

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// A Cgroup is the membership of a process in one hierarchy: one line of
// /proc/PID/cgroup, see cgroups(7).
type Cgroup struct {
	Hierarchy   int      // 0 is version 2, others are of version 1
	Controllers []string // of version 1; "name=systemd" for a named hierarchy
	// Path begins with "/". It is relative to the root of our cgroup namespace:
	// a process outside of that has a path like "/../other".
	Path string
	// Deleted: the directory was removed while the process (a zombie) was in it.
	// Known for version 2 only.
	Deleted bool
}

// Cgroups returns the cgroups of a process (0 is this one) in the kernel's order.
func (f FS) Cgroups(pid int) ([]Cgroup, error) {
	b, err := f.readPID(pid, "cgroup")
	if err != nil {
		return nil, err
	}
	cgroups, err := parseCgroups(b)
	if err != nil {
		return nil, fmt.Errorf("process %d: %w", pid, err)
	}
	return cgroups, nil
}

// parseCgroups reads lines "ID:controllers:path". A path may contain ':' but no
// newline, which cgroup_mkdir refuses.
func parseCgroups(b []byte) ([]Cgroup, error) {
	var cgroups []Cgroup
	for line := range bytes.Lines(b) {
		cg, ok := parseCgroupLine(strings.TrimSuffix(string(line), "\n"))
		if !ok {
			return cgroups, fmt.Errorf("parse cgroup: line %.80q is not ID:controllers:path", line)
		}
		cgroups = append(cgroups, cg)
	}
	return cgroups, nil
}

func parseCgroupLine(line string) (Cgroup, bool) {
	id, rest, ok := strings.Cut(line, ":")
	if !ok {
		return Cgroup{}, false
	}
	controllers, path, ok := strings.Cut(rest, ":")
	if !ok || !strings.HasPrefix(path, "/") {
		return Cgroup{}, false
	}
	hierarchy, err := strconv.ParseUint(id, 10, 31)
	if err != nil {
		return Cgroup{}, false
	}
	cg := Cgroup{Hierarchy: int(hierarchy), Path: path}
	if controllers != "" {
		cg.Controllers = strings.Split(controllers, ",")
	}
	if cg.Hierarchy == 0 {
		cg.Path, cg.Deleted = strings.CutSuffix(path, deletedSuffix)
	}
	return cg, true
}

// deletedSuffix is what the kernel appends to the path of something removed. A
// file may be named so in truth; nothing tells the difference.
const deletedSuffix = " (deleted)"

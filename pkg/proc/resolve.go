package proc

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A CgroupRef is a cgroup found in a mounted hierarchy.
type CgroupRef struct {
	Hierarchy   int      // as in Cgroup: 0 is version 2
	Controllers []string // as in Cgroup
	// ID is the kernfs node ID, which is the inode number of Dir on 64-bit kernels
	// since 5.5; bpf_get_current_cgroup_id gives the same. A removed and remade
	// cgroup gets another.
	ID   uint64
	Path string // as in /proc/PID/cgroup
	Dir  string
}

func (r CgroupRef) String() string {
	if r.Hierarchy == 0 {
		return r.Path
	}
	return strings.Join(r.Controllers, ",") + ":" + r.Path
}

// ResolveCgroup finds a cgroup by any of the names that users have for it:
//
//   - a directory: /sys/fs/cgroup/system.slice/x.service, also through symbolic links
//   - a path in any hierarchy: /system.slice/x.service, system.slice/x.service
//   - the same with a controller or the name of a hierarchy: memory:/a/b, name=systemd:/a, unified:/a
//   - a line of /proc/PID/cgroup: 4:memory:/a/b
//
// Where several hierarchies have the path, the first with processes in it or below
// it is taken, version 2 before version 1, there the memory controller before
// others; where none has processes, the first.
func (f FS) ResolveCgroup(name string) (CgroupRef, error) {
	mounts, err := f.CgroupMounts()
	if err != nil {
		return CgroupRef{}, fmt.Errorf("cgroup %q: %w", name, err)
	}
	if len(mounts) == 0 {
		return CgroupRef{}, fmt.Errorf("cgroup %q: no cgroup file system is mounted", name)
	}
	if name == "" {
		return CgroupRef{}, fmt.Errorf("cgroup: empty path; the root of a hierarchy is %q", "/")
	}
	var tried []string
	if filepath.IsAbs(name) {
		ref, err := cgroupOfDir(mounts, name)
		if err == nil {
			return ref, nil
		}
		tried = append(tried, err.Error())
	}
	path := name
	if hierarchy, rest, ok := cutHierarchy(name, mounts); ok {
		mounts = slices.DeleteFunc(mounts, func(m CgroupMount) bool { return m.Hierarchy != hierarchy })
		path = rest
	}
	refs, failed := cgroupsOfPath(mounts, filepath.Clean("/"+path))
	if len(refs) == 0 {
		return CgroupRef{}, fmt.Errorf("cgroup %q not found; tried %s", name, strings.Join(append(tried, failed...), "; "))
	}
	return busiest(refs), nil
}

// cgroupOfDir makes the reference for a directory. With mounts on mounts, the
// longest mount point is the one.
func cgroupOfDir(mounts []CgroupMount, dir string) (CgroupRef, error) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return CgroupRef{}, err
	}
	var best CgroupMount
	var path string
	for _, m := range mounts {
		if p, ok := m.path(real); ok && len(m.MountPoint) >= len(best.MountPoint) {
			best, path = m, p
		}
	}
	if path == "" {
		return CgroupRef{}, fmt.Errorf("directory %s (is below no cgroup mount)", dir)
	}
	return newCgroupRef(best, path, real)
}

func newCgroupRef(m CgroupMount, path, dir string) (CgroupRef, error) {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return CgroupRef{}, &os.PathError{Op: "stat", Path: dir, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return CgroupRef{}, &os.PathError{Op: "stat", Path: dir, Err: unix.ENOTDIR}
	}
	return CgroupRef{Hierarchy: m.Hierarchy, Controllers: m.Controllers, ID: st.Ino, Path: path, Dir: dir}, nil
}

// cutHierarchy takes "memory:/a" or a line of /proc/PID/cgroup apart. The name of
// a cgroup may itself contain ':'.
func cutHierarchy(name string, mounts []CgroupMount) (hierarchy int, path string, ok bool) {
	if cg, ok := parseCgroupLine(name); ok {
		return cg.Hierarchy, cg.Path, true
	}
	prefix, path, ok := strings.Cut(name, ":")
	if !ok || strings.Contains(prefix, "/") {
		return 0, "", false
	}
	if prefix == "" || prefix == "unified" || prefix == "cgroup2" {
		return 0, path, true
	}
	for _, m := range mounts {
		for _, c := range m.Controllers {
			if c == prefix || c == "name="+prefix || strings.Join(m.Controllers, ",") == prefix {
				return m.Hierarchy, path, true
			}
		}
	}
	return 0, "", false
}

// cgroupsOfPath finds a path in every mount, at most once per hierarchy, in order
// of preference; failed says where it is not.
func cgroupsOfPath(mounts []CgroupMount, path string) (refs []CgroupRef, failed []string) {
	seen := make(map[int]bool)
	for _, m := range mounts {
		if seen[m.Hierarchy] {
			continue
		}
		dir, ok := m.dir(path)
		if !ok {
			failed = append(failed, fmt.Sprintf("%s (holds only %s)", m.MountPoint, m.Root))
			continue
		}
		ref, err := newCgroupRef(m, path, dir)
		if err != nil {
			failed = append(failed, err.Error())
			continue
		}
		seen[m.Hierarchy] = true
		refs = append(refs, ref)
	}
	slices.SortStableFunc(refs, func(a, b CgroupRef) int {
		return hierarchyRank(a.Hierarchy, a.Controllers) - hierarchyRank(b.Hierarchy, b.Controllers)
	})
	return refs, failed
}

// hierarchyRank orders hierarchies by how well a member's cgroup can be told in
// the kernel: version 2 has a helper, a controller of version 1 a slot in every
// task's css_set, a named hierarchy neither.
func hierarchyRank(hierarchy int, controllers []string) int {
	if hierarchy == 0 {
		return 0
	}
	order := []string{"memory", "cpu", "cpuacct", "pids", "cpuset", "freezer", "blkio", "devices", "perf_event"}
	rank := len(order) + 2
	for _, c := range controllers {
		if i := slices.Index(order, c); i >= 0 {
			rank = min(rank, i+1)
		} else if !strings.HasPrefix(c, "name=") {
			rank = min(rank, len(order)+1)
		}
	}
	return rank
}

// busiest returns the first that has processes, or the first. refs is not empty.
func busiest(refs []CgroupRef) CgroupRef {
	for _, ref := range refs {
		if len(refs) > 1 && populated(ref.Dir) {
			return ref
		}
	}
	return refs[0]
}

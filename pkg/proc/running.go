package proc

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// minIDPrefix keeps names such as "db" or "web" from being taken for IDs.
const minIDPrefix = 4

// ResolveContainer finds the cgroups of running containers, by (in this order) the
// full ID or LXC or nspawn name, the name that an engine gave, or an ID's unique
// prefix of at least 4 hex digits. Several containers may have one name, since
// Kubernetes names them within their pod: then all of them are returned. Each has
// one cgroup in the hierarchy where its processes are told apart best (as
// ResolveCgroup has it), or several if the engine made several. Never empty
// without an error.
func (f FS) ResolveContainer(idOrName string) ([]CgroupRef, error) {
	if idOrName == "" {
		return nil, fmt.Errorf("container: empty name")
	}
	running, err := f.runningContainers()
	if err != nil {
		return nil, fmt.Errorf("container %q: %w", idOrName, err)
	}
	mounts, err := f.CgroupMounts()
	if err != nil {
		return nil, fmt.Errorf("container %q: %w", idOrName, err)
	}
	if cgroups, ok := running[idOrName]; ok {
		return containerRefs(mounts, idOrName, cgroups)
	}
	if known := f.containersNamed(idOrName); len(known) > 0 {
		return namedRefs(mounts, idOrName, known, running)
	}
	var ids []string
	if len(idOrName) >= minIDPrefix && isHex(idOrName) {
		for id := range running {
			if isContainerID(id) && strings.HasPrefix(id, idOrName) {
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	switch len(ids) {
	case 1:
		return containerRefs(mounts, ids[0], running[ids[0]])
	case 0:
		return nil, f.unknownContainer(idOrName, running)
	}
	return nil, fmt.Errorf("container %q is ambiguous: %s", idOrName, strings.Join(ids[:min(len(ids), 10)], ", "))
}

// runningContainers maps the IDs of containers that have processes to their
// cgroups, each once. Processes that die meanwhile are left out.
func (f FS) runningContainers() (map[string][]Cgroup, error) {
	pids, err := f.PIDs()
	if err != nil {
		return nil, err
	}
	running := make(map[string][]Cgroup)
	for _, pid := range pids {
		cgroups, err := f.Cgroups(pid)
		if err != nil {
			continue
		}
		for _, cg := range cgroups {
			id, path := cutContainer(cg.Path)
			if id == "" {
				continue
			}
			cg.Path = path
			same := func(other Cgroup) bool { return other.Hierarchy == cg.Hierarchy && other.Path == path }
			if !slices.ContainsFunc(running[id], same) {
				running[id] = append(running[id], cg)
			}
		}
	}
	return running, nil
}

// containerRefs takes the best hierarchy that is mounted.
func containerRefs(mounts []CgroupMount, id string, cgroups []Cgroup) ([]CgroupRef, error) {
	cgroups = slices.SortedStableFunc(slices.Values(cgroups), func(a, b Cgroup) int {
		return cmp.Compare(hierarchyRank(a.Hierarchy, a.Controllers), hierarchyRank(b.Hierarchy, b.Controllers))
	})
	var refs []CgroupRef
	var failed []string
	for _, cg := range cgroups {
		if len(refs) > 0 && refs[0].Hierarchy != cg.Hierarchy {
			break
		}
		of := slices.DeleteFunc(slices.Clone(mounts), func(m CgroupMount) bool { return m.Hierarchy != cg.Hierarchy })
		found, why := cgroupsOfPath(of, cg.Path)
		refs = append(refs, found...)
		failed = append(failed, why...)
		if len(of) == 0 {
			failed = append(failed, fmt.Sprintf("hierarchy %d of %s (is not mounted)", cg.Hierarchy, cg.Path))
		}
	}
	if len(refs) == 0 {
		return nil, fmt.Errorf("container %q runs, but its cgroup is not in sight; tried %s", id, strings.Join(failed, "; "))
	}
	return refs, nil
}

// namedRefs gathers the cgroups of all containers of a name that run.
func namedRefs(mounts []CgroupMount, name string, known []named, running map[string][]Cgroup) ([]CgroupRef, error) {
	var refs []CgroupRef
	var stopped []string
	var failure error
	for _, c := range known {
		cgroups, ok := running[c.id]
		found, err := []CgroupRef(nil), error(nil)
		switch {
		case ok:
			found, err = containerRefs(mounts, c.id, cgroups)
		case strings.HasPrefix(c.cgroup, "/"): // ctr: the ID is a name, which no path gives away
			all, _ := cgroupsOfPath(mounts, c.cgroup)
			if len(all) > 0 {
				found = []CgroupRef{busiest(all)}
			}
		}
		if err != nil {
			failure = err
		}
		if len(found) == 0 {
			stopped = append(stopped, clean(c.id))
		}
		refs = append(refs, found...)
	}
	switch {
	case len(refs) > 0:
		return refs, nil
	case failure != nil:
		return nil, failure
	}
	return nil, fmt.Errorf("container %q is known (%s), but no process of it runs", name, strings.Join(stopped, ", "))
}

func (f FS) unknownContainer(name string, running map[string][]Cgroup) error {
	var names []string
	for id := range running {
		names = append(names, shortID(id))
		if n := f.ContainerName(id); n != "" && n != id {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	if near := nearest(name, names); len(near) > 0 {
		names = near
	}
	if len(names) == 0 {
		return fmt.Errorf("container %q not found; no container of Docker, containerd, CRI-O, Podman, LXC or nspawn runs here", name)
	}
	return fmt.Errorf("container %q not found; running: %s", name, strings.Join(names[:min(len(names), 10)], ", "))
}

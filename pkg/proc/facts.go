package proc

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
)

// Facts are what a process can be identified by. Text is valid UTF-8 without control
// characters; what is not known is "".
type Facts struct {
	StartTicks    uint64 // as Process.StartTicks
	KernelThread  bool
	Comm          string // name of the main thread
	Executable    string // path in the process's own mount namespace
	Cgroup        string // path in the hierarchy that tells most
	ContainerID   string // as ContainerID has it
	ContainerName string // as ContainerName has it
	// Unit is the innermost systemd service or scope, as Unit has it. That of a
	// process in a container is the host's around it, which is rare.
	Unit string
	Pod  Pod
}

// Facts reads what identifies a process; pid 0 is this process. The error is
// ErrNoProcess if it is gone. It reads up to a dozen small files: once per process,
// not per sample; an Identifier reads those of a container once.
func (f FS) Facts(pid int) (Facts, error) { return f.facts(pid, f.containerFacts) }

// facts asks container for the names of containers.
func (f FS) facts(pid int, container func(id, uid string) containerNames) (Facts, error) {
	stat, err := f.stat(pid)
	if err != nil {
		return Facts{}, err
	}
	var facts Facts
	if stat.flags&flagKernelThread == 0 {
		cgroups, _ := f.Cgroups(pid)
		facts = factsOf(cgroups)
		exe, _ := os.Readlink(f.procPath(pidName(pid), "exe")) // fails for zombies and without privilege
		facts.Executable = executablePath(exe)
	}
	facts.Comm, facts.StartTicks, facts.KernelThread = clean(stat.comm), stat.startTicks, stat.flags&flagKernelThread != 0
	// The number may have become another process's meanwhile.
	if again, err := f.stat(pid); err != nil || again.startTicks != stat.startTicks {
		return Facts{}, fmt.Errorf("process %d: %w", pid, ErrNoProcess)
	}
	if facts.ContainerID != "" || facts.Pod.UID != "" {
		names := container(facts.ContainerID, facts.Pod.UID)
		facts.ContainerName = names.name
		if names.pod.Namespace != "" {
			facts.Pod = names.pod
		}
	}
	return facts, nil
}

// factsOf says what cgroups alone tell.
func factsOf(cgroups []Cgroup) Facts {
	ordered := slices.SortedStableFunc(slices.Values(cgroups), func(a, b Cgroup) int { return labelRank(a) - labelRank(b) })
	for _, cg := range ordered {
		id, own := cutContainer(cg.Path)
		uid := podUID(cg.Path)
		if id == "" && uid == "" {
			continue
		}
		facts := Facts{Cgroup: clean(cg.Path), ContainerID: id, Pod: Pod{UID: uid}}
		if id != "" {
			facts.Unit = unitAround(own)
		}
		return facts
	}
	for _, cg := range ordered {
		if unit := Unit(cg.Path); unit != "" {
			return Facts{Cgroup: clean(cg.Path), Unit: unit}
		}
	}
	for _, cg := range ordered {
		if cg.Path != "/" {
			return Facts{Cgroup: clean(cg.Path)}
		}
	}
	return Facts{Cgroup: "/"}
}

// unitAround returns the unit that a container was started by, if it runs within
// that, as Podman's containers of a service do ("web.service/libpod-payload-ID"). A
// unit that runs containers for others, or one inside a container, is none.
func unitAround(containerPath string) string {
	around := path.Dir(containerPath)
	unit := Unit(around)
	stem, _, _ := strings.Cut(strings.TrimPrefix(unit, "snap."), ".")
	engines := []string{"docker", "containerd", "crio", "cri-o", "podman", "kubelet", "k3s", "k3s-agent", "rke2-server", "rke2-agent",
		"microk8s", "buildkit", "lxc", "lxd", "incus", "ecs"}
	if ContainerID(around) != "" || podUID(around) != "" || slices.Contains(engines, stem) {
		return ""
	}
	return unit
}

// labelRank puts first the hierarchies that systemd and engines manage.
func labelRank(cg Cgroup) int {
	switch {
	case cg.Hierarchy == 0:
		return 0
	case slices.Contains(cg.Controllers, "name=systemd"):
		return 1
	}
	return 2
}

// executablePath makes a path of the target of /proc/PID/exe, "" of one that was never
// a file: a memfd is named by who made it, such as runc's "runc_cloned:/proc/self/exe".
func executablePath(link string) string {
	link = strings.TrimSuffix(link, deletedSuffix)
	if strings.HasPrefix(link, "/memfd:") {
		return ""
	}
	return clean(link)
}

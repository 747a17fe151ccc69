package proc

import (
	"os"
	"path"
	"slices"
	"strings"
)

// kernelService is the service of kernel threads.
const kernelService = "[kernel]"

// Service names what a process belongs to, for people and as a metric label: the
// container's name or short ID, else the systemd unit without its suffix, else the
// executable's base name, else the process's name; "[kernel]" for kernel threads.
// container is the container's full ID, or "". Both are "" if the process is gone.
// It reads up to a dozen small files: once per process, not per sample.
func (f FS) Service(pid int) (service, container string) {
	stat, err := f.stat(pid)
	if err != nil {
		return "", ""
	}
	if stat.flags&flagKernelThread != 0 {
		return kernelService, ""
	}
	cgroups, _ := f.Cgroups(pid)
	exe, _ := os.Readlink(f.procPath(pidName(pid), "exe")) // fails for zombies and without privilege
	service, container = ServiceOf(cgroups, exe, stat.comm)
	if name := f.ContainerName(container); name != "" {
		service = name
	}
	return service, container
}

// ServiceOf decides as Service does, but knows no container's name. exe is the
// target of /proc/PID/exe or "", comm the process's name in raw bytes. What it
// returns is valid UTF-8 without control characters. Units whose names a program
// made up per process or connection ("run-u12.scope", the instance in
// "sshd@3-10.0.0.1:22-10.0.0.2:50001") would be a new service each time, so the
// executable, or the template, is taken instead.
func ServiceOf(cgroups []Cgroup, exe, comm string) (service, container string) {
	ordered := slices.SortedStableFunc(slices.Values(cgroups), func(a, b Cgroup) int { return labelRank(a) - labelRank(b) })
	for _, cg := range ordered {
		if id := ContainerID(cg.Path); id != "" {
			return shortID(id), id
		}
	}
	for _, cg := range ordered {
		if service := serviceOfUnit(Unit(cg.Path)); service != "" {
			return service, ""
		}
	}
	exe = strings.TrimSuffix(exe, deletedSuffix)
	memfd := strings.HasPrefix(exe, "/memfd:") // named by who made it, such as runc's "runc_cloned:/proc/self/exe"
	if base := path.Base(exe); exe != "" && base != "/" && base != "." && !memfd {
		return clean(base), ""
	}
	return clean(comm), ""
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

// serviceOfUnit returns "" for a unit that says less than the executable.
func serviceOfUnit(unit string) string {
	stem := strings.TrimSuffix(strings.TrimSuffix(unit, ".service"), ".scope")
	for _, made := range []string{"run-", "app-", "vte-spawn-", "tmux-spawn-", "snap.", "libpod-conmon-", "crio-conmon-"} {
		if strings.HasPrefix(unit, made) && (made == "run-" || strings.HasSuffix(unit, ".scope")) {
			return ""
		}
	}
	template, instance, ok := strings.Cut(stem, "@")
	if ok && isConnection(instance) {
		return template
	}
	return stem
}

// isConnection recognises the instance names of sockets with Accept=yes:
// NUMBER-LOCAL:PORT-PEER:PORT, or NUMBER-PID-UID for local ones.
func isConnection(instance string) bool {
	number, rest, ok := strings.Cut(instance, "-")
	if !ok || number == "" || strings.Trim(number, "0123456789") != "" {
		return false
	}
	local, peer, ok := strings.Cut(rest, "-")
	if !ok {
		return false
	}
	numeric := strings.Trim(local+peer, "0123456789_") == ""
	return numeric || strings.Contains(local, ":") && strings.Contains(peer, ":")
}

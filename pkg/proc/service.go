package proc

import (
	"path"
	"strings"
)

const (
	// kernelService is the service of kernel threads.
	kernelService = "[kernel]"
	// namelessService is that of a process that cleared its own name, and whose executable cannot be read.
	namelessService = "[nameless]"
)

// Service names what a process belongs to, for people and as a metric label, as
// Facts.Service does. container is the container's full ID, or "". Both are "" if the
// process is gone.
func (f FS) Service(pid int) (service, container string) {
	facts, err := f.Facts(pid)
	if err != nil {
		return "", ""
	}
	return facts.Service(), facts.ContainerID
}

// Service is the first that there is of: the Kubernetes namespace and container, as
// "namespace/container"; the systemd unit without its suffix; the container's name or
// short ID; the executable's base name; the process's name. It is "[kernel]" for kernel
// threads, and never "".
//
// Units whose names a program made up per process or connection ("run-u12.scope", the
// instance in "sshd@3-10.0.0.1:22-10.0.0.2:50001") would be a new service each time, so
// what comes next, or the template, is taken instead.
func (f Facts) Service() string {
	if f.KernelThread {
		return kernelService
	}
	if f.Pod.Namespace != "" && f.Pod.Container != "" {
		return f.Pod.Namespace + "/" + f.Pod.Container
	}
	if f.Pod.Namespace != "" { // the pause process, or a container that nothing names
		return f.Pod.Namespace + "/" + f.program()
	}
	for _, name := range []string{serviceOfUnit(f.Unit), f.ContainerName, shortID(f.ContainerID)} {
		if name != "" {
			return name
		}
	}
	return f.program()
}

// program is what runs.
func (f Facts) program() string {
	switch base := path.Base(f.Executable); {
	case f.Executable != "" && base != "/" && base != ".":
		return base
	case strings.TrimSpace(f.Comm) != "":
		return f.Comm
	}
	return namelessService
}

// serviceOfUnit returns "" for a unit that says less than the executable.
func serviceOfUnit(unit string) string {
	stem := strings.TrimSuffix(strings.TrimSuffix(unit, ".service"), ".scope")
	for _, made := range []string{"run-", "dbus-:", "app-", "vte-spawn-", "tmux-spawn-", "snap.", "libpod-conmon-", "crio-conmon-"} {
		always := made == "run-" || made == "dbus-:"
		if strings.HasPrefix(unit, made) && (always || strings.HasSuffix(unit, ".scope")) {
			return ""
		}
	}
	if machine, ok := strings.CutPrefix(stem, "machine-qemu-"); ok { // libvirt counts the starts of its machines
		number, name, _ := strings.Cut(machine, "-")
		if name != "" && strings.Trim(number, "0123456789") == "" {
			return name
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

package proc

import (
	"strings"
)

// ContainerID returns the container that a cgroup path is in, the innermost if
// they are nested, "" if none: 64 hex digits for Docker, containerd, CRI-O, Podman
// and Kubernetes (with the cgroupfs and the systemd driver), the task's ID for ECS
// on Fargate, the container's name for LXC, LXD, Incus and systemd-nspawn. The
// monitor processes of runtimes (conmon, lxc.monitor) are in no container.
func ContainerID(cgroupPath string) string {
	id, _ := cutContainer(cgroupPath)
	return id
}

// idLength is the length of the IDs that OCI engines make: 256 random bits in hex.
const idLength = 64

// cutContainer also returns the path of the container's own cgroup, which what
// runs inside may have divided further.
func cutContainer(cgroupPath string) (id, path string) {
	for end := len(cgroupPath); end > 0; {
		start := strings.LastIndexByte(cgroupPath[:end], '/') + 1
		parent := ""
		if start > 0 {
			before := cgroupPath[:start-1]
			parent = before[strings.LastIndexByte(before, '/')+1:]
		}
		if id := containerComponent(parent, cgroupPath[start:end]); id != "" {
			return clean(id), cgroupPath[:end]
		}
		end = start - 1
	}
	return "", ""
}

// containerComponent recognises the directory of a container. Seen in the field:
//
//	docker/ID  docker-ID.scope  libpod-ID.scope  libpod_parent/libpod-ID  crio-ID.scope
//	cri-containerd-ID.scope  nerdctl-ID.scope  podUID/ID  ecs/TASK/ID  default/ID
//	kubepods-burstable-podUID.slice:cri-containerd:ID
//	lxc/NAME  lxc.payload.NAME  lxc.payload/NAME  machine-NAME.scope  systemd-nspawn@NAME.service
func containerComponent(parent, name string) string {
	stem, scope := strings.CutSuffix(name, ".scope")
	if n := len(stem) - idLength; n >= 0 && isHex(stem[n:]) {
		prefix := stem[:n]
		engine := prefix == "" || strings.HasSuffix(prefix, "-") || strings.HasSuffix(prefix, ":")
		if engine && !strings.HasSuffix(prefix, "conmon-") {
			return stem[n:]
		}
		return ""
	}
	switch {
	case isFargate(parent, name):
		return name
	case parent == "lxc" || parent == "lxc.payload":
		return name
	case strings.HasPrefix(name, "lxc.payload."):
		return strings.TrimPrefix(name, "lxc.payload.")
	case scope && strings.HasPrefix(name, "machine-"):
		machine := unescapeUnit(strings.TrimPrefix(stem, "machine-"))
		if strings.HasPrefix(machine, "qemu-") { // a virtual machine of libvirt
			return ""
		}
		return machine
	case strings.HasPrefix(name, "systemd-nspawn@") && strings.HasSuffix(name, ".service"):
		return unescapeUnit(strings.TrimSuffix(strings.TrimPrefix(name, "systemd-nspawn@"), ".service"))
	}
	return ""
}

// isFargate recognises ecs/TASK/TASK-NUMBER, where TASK is 32 hex digits.
func isFargate(parent, name string) bool {
	task, number, ok := strings.Cut(name, "-")
	return ok && task == parent && len(task) == 32 && isHex(task) && number != "" && strings.Trim(number, "0123456789") == ""
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

// isContainerID tells an OCI engine's ID from a name.
func isContainerID(s string) bool { return len(s) == idLength && isHex(s) }

// shortID is how engines abbreviate IDs; names stay.
func shortID(id string) string {
	if isContainerID(id) {
		return id[:12]
	}
	return id
}

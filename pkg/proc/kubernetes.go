package proc

import (
	"path"
	"strings"
)

// A Pod says where in Kubernetes a container is. The zero value is no pod; Container
// is "" for a pod's own pause process, or when it is not known.
type Pod struct {
	Namespace, Name, UID, Container string
}

// Directories below FS.Root in which the kubelet names containers, whatever engine
// runs them: pkg/kubelet/kuberuntime of Kubernetes.
const (
	containerLogs = "var/log/containers" // POD_NAMESPACE_CONTAINER-ID.log
	podLogs       = "var/log/pods"       // NAMESPACE_POD_UID/CONTAINER/
)

// maxPodUID is beyond a UUID, or the hash in hex that a static pod has.
const maxPodUID = 64

// podUID returns the UID of the pod that a cgroup path is in, "" if none, as the
// kubelet's two drivers name its cgroup below "kubepods":
//
//	pod0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0
//	kubepods-burstable-pod0f1e2d3c_4b5a_6978_8796_a5b4c3d2e1f0.slice[:cri-containerd:ID]
func podUID(cgroupPath string) string {
	if !strings.Contains(cgroupPath, "kubepods") {
		return ""
	}
	for component := range strings.SplitSeq(cgroupPath, "/") {
		name, _, _ := strings.Cut(component, ":")
		stem := strings.TrimSuffix(name, ".slice")
		i := strings.LastIndex(stem, "pod")
		if i < 0 || i > 0 && stem[i-1] != '-' {
			continue
		}
		uid := strings.ReplaceAll(stem[i+len("pod"):], "_", "-")
		if uid != "" && len(uid) <= maxPodUID && strings.Trim(uid, "0123456789abcdef-") == "" {
			return uid
		}
	}
	return ""
}

// podOf finds the names of a container's pod without asking an API server: in what
// the engine's files said, else in the names of the kubelet's log files.
func (f FS) podOf(c named, id, uid string) Pod {
	pod := c.pod
	if pod.Namespace == "" {
		for _, name := range f.listUnderRoot(containerLogs) {
			if found, ok := podOfLog(name, id); ok {
				pod = found
				break
			}
		}
	}
	if pod.Namespace == "" && uid != "" {
		for _, name := range f.listUnderRoot(podLogs) {
			found, ok := podOfLogDir(name, uid)
			if !ok {
				continue
			}
			pod = found
			// Which of several containers it is, nothing says; an engine may.
			if only := f.listUnderRoot(path.Join(podLogs, name)); len(only) == 1 {
				pod.Container = kubernetesName(only[0])
			}
			if named := kubernetesName(c.name); named != "" {
				pod.Container = named
			}
			break
		}
	}
	if pod.Namespace != "" {
		pod.UID = uid
	}
	return pod
}

// podOfLog reads POD_NAMESPACE_CONTAINER-ID.log, where ID is the container's.
func podOfLog(name, id string) (Pod, bool) {
	stem, ok := strings.CutSuffix(name, "-"+id+".log")
	parts := strings.Split(stem, "_")
	if !ok || id == "" || len(parts) != 3 {
		return Pod{}, false
	}
	return newPod(parts[1], parts[0], parts[2])
}

// podOfLogDir reads NAMESPACE_POD_UID.
func podOfLogDir(name, uid string) (Pod, bool) {
	parts := strings.Split(name, "_")
	if len(parts) != 3 || uid == "" || parts[2] != uid {
		return Pod{}, false
	}
	return newPod(parts[0], parts[1], "")
}

// podOfName reads k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT, as dockershim, cri-dockerd
// and CRI-O name containers. "POD" is the pause container.
func podOfName(name string) Pod {
	parts := strings.Split(strings.TrimPrefix(name, "/"), "_")
	if len(parts) != 6 || parts[0] != "k8s" {
		return Pod{}
	}
	pod, _ := newPod(parts[3], parts[2], parts[1])
	return pod
}

// podOfAnnotations reads those of containerd's CRI plugin, and those of the kubelet
// that CRI-O and cri-dockerd keep.
func podOfAnnotations(a map[string]string) Pod {
	pod, ok := newPod(a["io.kubernetes.cri.sandbox-namespace"], a["io.kubernetes.cri.sandbox-name"], a["io.kubernetes.cri.container-name"])
	if !ok {
		pod, _ = newPod(a["io.kubernetes.pod.namespace"], a["io.kubernetes.pod.name"], a["io.kubernetes.container.name"])
	}
	return pod
}

// newPod takes names that Kubernetes allows. A container's is optional.
func newPod(namespace, name, container string) (Pod, bool) {
	pod := Pod{Namespace: kubernetesName(namespace), Name: kubernetesName(name), Container: kubernetesName(container)}
	if pod.Namespace == "" || pod.Name == "" {
		return Pod{}, false
	}
	return pod, true
}

// kubernetesName returns s if it is a name of RFC 1123, of which a pod's may have
// 253 characters, else "".
func kubernetesName(s string) string {
	if len(s) > 253 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" {
		return ""
	}
	return s
}

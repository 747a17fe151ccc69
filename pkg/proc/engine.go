package proc

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Limits on the files of container engines. A bundle's config.json with a full
// seccomp profile has about 100 KiB; a containers.json has 2 KiB per container.
const (
	maxEngineFile = 4 << 20
	maxStorage    = 32 << 20
	maxContainers = 1 << 14
)

// Directories below FS.Root in which engines keep one directory per container.
func dockerDirs() []string {
	return []string{"var/lib/docker/containers", "var/snap/docker/common/var-lib-docker/containers"}
}

// containerdDirs have NAMESPACE/ID/config.json: containerd's own, and those of k3s, RKE2 and MicroK8s.
func containerdDirs() []string {
	return []string{
		"run/containerd/io.containerd.runtime.v2.task",
		"run/k3s/containerd/io.containerd.runtime.v2.task",
		"var/snap/microk8s/common/run/containerd/io.containerd.runtime.v2.task",
	}
}

const (
	bundles         = "run/containers/storage/overlay-containers" // ID/userdata/config.json, CRI-O
	storage         = "var/lib/containers/storage"                // *-containers/containers.json, Podman and CRI-O
	homes           = "home"
	rootlessDocker  = ".local/share/docker/containers"
	rootlessStorage = ".local/share/containers/storage"
)

// A named container as an engine's files describe it.
type named struct {
	id, name string
	cgroup   string // linux.cgroupsPath of the bundle, "" if unknown
	pod      Pod    // of Kubernetes
}

// ContainerName returns the name that an engine's files give to a container ID, ""
// if they give none: Docker's and Podman's name, for Kubernetes the name of the
// container within its pod. It reads a few small files; keep the answer.
func (f FS) ContainerName(id string) string { return f.containerByID(id).name }

// containerByID has an empty name if no engine knows the container.
func (f FS) containerByID(id string) named {
	if !isContainerID(id) {
		return named{id: id, name: id} // LXC, nspawn: the ID is the name
	}
	for _, dir := range dockerDirs() {
		if b, err := f.readUnderRoot(path.Join(dir, id, "config.v2.json"), maxEngineFile); err == nil {
			if c := parseDocker(b); c.name != "" {
				return c
			}
		}
	}
	var files []string
	for _, dir := range containerdDirs() {
		for _, namespace := range f.listUnderRoot(dir) {
			files = append(files, path.Join(dir, namespace, id, "config.json"))
		}
	}
	for _, file := range append(files, path.Join(bundles, id, "userdata/config.json")) {
		if b, err := f.readUnderRoot(file, maxEngineFile); err == nil {
			if c := parseBundle(b); c.name != "" || c.pod.Namespace != "" {
				return c
			}
		}
	}
	for _, c := range f.stored(storage) {
		if c.id == id {
			return c
		}
	}
	return named{}
}

// containersNamed returns the containers that have a name, from the engines of
// the system, and only if those know none, from those of users: a user can write
// anything into the latter.
func (f FS) containersNamed(name string) []named {
	var all []named
	for _, dir := range dockerDirs() {
		all = append(all, f.docker(dir)...)
	}
	all = append(all, f.containerd()...)
	for _, id := range f.listUnderRoot(bundles) {
		if b, err := f.readUnderRoot(path.Join(bundles, id, "userdata/config.json"), maxEngineFile); err == nil {
			c := parseBundle(b)
			c.id = id
			all = append(all, c)
		}
	}
	all = append(all, f.stored(storage)...)
	if found := withName(all, name); len(found) > 0 {
		return found
	}
	all = nil
	for _, user := range f.listUnderRoot(homes) {
		all = append(all, f.docker(path.Join(homes, user, rootlessDocker))...)
		all = append(all, f.stored(path.Join(homes, user, rootlessStorage))...)
	}
	return withName(all, name)
}

func withName(all []named, name string) []named {
	var found []named
	for _, c := range all {
		if c.name == name && !slices.ContainsFunc(found, func(f named) bool { return f.id == c.id }) {
			found = append(found, c)
		}
	}
	return found
}

func (f FS) docker(dir string) []named {
	var found []named
	for _, id := range f.listUnderRoot(dir) {
		if b, err := f.readUnderRoot(path.Join(dir, id, "config.v2.json"), maxEngineFile); err == nil {
			if c := parseDocker(b); c.id == id {
				found = append(found, c)
			}
		}
	}
	return found
}

// containerd lists running tasks. Those of ctr have a name for an ID.
func (f FS) containerd() []named {
	var found []named
	for _, dir := range containerdDirs() {
		for _, namespace := range f.listUnderRoot(dir) {
			for _, id := range f.listUnderRoot(path.Join(dir, namespace)) {
				b, err := f.readUnderRoot(path.Join(dir, namespace, id, "config.json"), maxEngineFile)
				if err != nil {
					continue
				}
				c := parseBundle(b)
				c.id = id
				if c.name == "" && !isContainerID(id) {
					c.name = boundedName(id)
				}
				found = append(found, c)
			}
		}
	}
	return found
}

func (f FS) stored(dir string) []named {
	var found []named
	for _, driver := range f.listUnderRoot(dir) {
		if !strings.HasSuffix(driver, "-containers") {
			continue
		}
		for _, file := range []string{"containers.json", "volatile-containers.json"} {
			if b, err := f.readUnderRoot(path.Join(dir, driver, file), maxStorage); err == nil {
				found = append(found, parseStorage(b)...)
			}
		}
	}
	return found
}

// parseDocker reads config.v2.json.
func parseDocker(b []byte) named {
	var config struct {
		ID, Name string
		Config   struct{ Labels map[string]string }
	}
	if json.Unmarshal(b, &config) != nil {
		return named{}
	}
	c := named{id: clean(config.ID), name: engineName(config.Name), pod: podOfName(config.Name)}
	if pod := podOfAnnotations(config.Config.Labels); pod.Namespace != "" {
		c.pod = pod
	}
	return c
}

// parseBundle reads config.json of an OCI bundle. The annotations are those of
// containerd's CRI plugin, of CRI-O and of nerdctl.
func parseBundle(b []byte) named {
	var config struct {
		Annotations map[string]string
		Linux       struct{ CgroupsPath string }
	}
	if json.Unmarshal(b, &config) != nil {
		return named{}
	}
	c := named{cgroup: config.Linux.CgroupsPath, pod: podOfAnnotations(config.Annotations)}
	for _, key := range []string{"io.kubernetes.cri.container-name", "io.kubernetes.container.name", "nerdctl/name"} {
		if c.name = engineName(config.Annotations[key]); c.name != "" {
			break
		}
	}
	return c
}

// parseStorage reads containers.json of containers/storage. A container with two
// names is there twice.
func parseStorage(b []byte) []named {
	var containers []struct {
		ID    string   `json:"id"`
		Names []string `json:"names"`
	}
	if json.Unmarshal(b, &containers) != nil {
		return nil
	}
	var found []named
	for _, c := range containers[:min(len(containers), maxContainers)] {
		for _, name := range c.Names {
			found = append(found, named{id: c.ID, name: engineName(name), pod: podOfName(name)})
		}
	}
	return found
}

// engineName makes a container's name of what engines write: Docker puts a "/"
// before it, dockershim and CRI-O have k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT.
func engineName(s string) string {
	s = strings.TrimPrefix(s, "/")
	if parts := strings.Split(s, "_"); len(parts) == 6 && parts[0] == "k8s" {
		s = parts[1]
	}
	return boundedName(s)
}

// maxName is what file systems allow for a name; engines allow less.
const maxName = 255

// boundedName makes a name of hostile text.
func boundedName(s string) string { return clean(s[:min(len(s), maxName)]) }

// openUnderRoot opens a path that cannot leave FS.Root, by ".." or by symbolic
// links: those that are absolute lead to Root's own tree, as they should for a host
// tree mounted in a container. It does not wait for FIFOs.
func (f FS) openUnderRoot(name string, flags uint64) (*os.File, error) {
	root, err := openFD(unix.AT_FDCWD, f.root(), &unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC})
	if err != nil {
		return nil, err
	}
	defer unix.Close(root)
	fd, err := openFD(root, name, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY | flags,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path.Join(f.root(), name)), nil
}

func (f FS) readUnderRoot(name string, limit int64) ([]byte, error) {
	file, err := f.openUnderRoot(name, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: not a regular file", file.Name())
	}
	return readAll(file, limit)
}

// listUnderRoot returns the names in a directory, sorted; none if it cannot be read.
func (f FS) listUnderRoot(name string) []string {
	dir, err := f.openUnderRoot(name, unix.O_DIRECTORY)
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(maxContainers)
	slices.Sort(names)
	return names
}

// openFD is openat2(2) (Linux 5.6), again if a signal interrupts it or, a few
// times, if a rename races with the walk (EAGAIN).
func openFD(dir int, name string, how *unix.OpenHow) (int, error) {
	for races := 0; ; {
		fd, err := unix.Openat2(dir, name, how)
		if err == unix.EAGAIN && how.Resolve != 0 && races < 16 {
			races++
			continue
		}
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return -1, &os.PathError{Op: "open", Path: name, Err: err}
		}
		return fd, nil
	}
}

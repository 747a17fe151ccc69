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

const (
	containerdTasks = "run/containerd/io.containerd.runtime.v2.task" // NAMESPACE/ID/config.json
	bundles         = "run/containers/storage/overlay-containers"    // ID/userdata/config.json, CRI-O
	storage         = "var/lib/containers/storage"                   // *-containers/containers.json, Podman and CRI-O
	homes           = "home"
	rootlessDocker  = ".local/share/docker/containers"
	rootlessStorage = ".local/share/containers/storage"
)

// A named container as an engine's files describe it.
type named struct {
	id, name string
	cgroup   string // linux.cgroupsPath of the bundle, "" if unknown
}

// ContainerName returns the name that an engine's files give to a container ID, ""
// if they give none: Docker's and Podman's name, for Kubernetes the name of the
// container within its pod. It reads a few small files; keep the answer.
func (f FS) ContainerName(id string) string {
	if !isContainerID(id) {
		return id // LXC, nspawn: the ID is the name
	}
	for _, dir := range dockerDirs() {
		if b, err := f.readUnderRoot(path.Join(dir, id, "config.v2.json"), maxEngineFile); err == nil {
			if _, name := parseDocker(b); name != "" {
				return name
			}
		}
	}
	var files []string
	for _, namespace := range f.listUnderRoot(containerdTasks) {
		files = append(files, path.Join(containerdTasks, namespace, id, "config.json"))
	}
	for _, file := range append(files, path.Join(bundles, id, "userdata/config.json")) {
		if b, err := f.readUnderRoot(file, maxEngineFile); err == nil {
			if name, _ := parseBundle(b); name != "" {
				return name
			}
		}
	}
	for _, c := range f.stored(storage) {
		if c.id == id {
			return c.name
		}
	}
	return ""
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
			n, cgroup := parseBundle(b)
			all = append(all, named{id, n, cgroup})
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
			if fileID, name := parseDocker(b); fileID == id {
				found = append(found, named{id: id, name: name})
			}
		}
	}
	return found
}

// containerd lists running tasks. Those of ctr have a name for an ID.
func (f FS) containerd() []named {
	var found []named
	for _, namespace := range f.listUnderRoot(containerdTasks) {
		for _, id := range f.listUnderRoot(path.Join(containerdTasks, namespace)) {
			b, err := f.readUnderRoot(path.Join(containerdTasks, namespace, id, "config.json"), maxEngineFile)
			if err != nil {
				continue
			}
			name, cgroup := parseBundle(b)
			if name == "" && !isContainerID(id) {
				name = id
			}
			found = append(found, named{id, name, cgroup})
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
func parseDocker(b []byte) (id, name string) {
	var config struct{ ID, Name string }
	if json.Unmarshal(b, &config) != nil {
		return "", ""
	}
	return config.ID, engineName(config.Name)
}

// parseBundle reads config.json of an OCI bundle. The annotations are those of
// containerd's CRI plugin, of CRI-O and of nerdctl.
func parseBundle(b []byte) (name, cgroup string) {
	var config struct {
		Annotations map[string]string
		Linux       struct{ CgroupsPath string }
	}
	if json.Unmarshal(b, &config) != nil {
		return "", ""
	}
	for _, key := range []string{"io.kubernetes.cri.container-name", "io.kubernetes.container.name", "nerdctl/name"} {
		if name := engineName(config.Annotations[key]); name != "" {
			return name, config.Linux.CgroupsPath
		}
	}
	return "", config.Linux.CgroupsPath
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
			found = append(found, named{id: c.ID, name: engineName(name)})
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
	return clean(s)
}

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

package proc

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Inode numbers of the initial namespaces, fixed by include/linux/proc_ns.h
// (include/uapi/linux/nsfs.h since 6.18).
const (
	InitCgroupNamespace = 0xEFFFFFFB
	InitPIDNamespace    = 0xEFFFFFFC
	InitUserNamespace   = 0xEFFFFFFD
)

// Namespace returns the inode number of a process's namespace (pid 0 is this
// process); kind is a name in /proc/PID/ns, such as "pid", "mnt" or "user".
func (f FS) Namespace(pid int, kind string) (uint64, error) {
	link, err := os.Readlink(f.procPath(pidName(pid), "ns", kind))
	if err != nil {
		return 0, err
	}
	inode, err := parseNamespace(link)
	if err != nil {
		return 0, fmt.Errorf("process %s: %w", pidName(pid), err)
	}
	return inode, nil
}

// parseNamespace reads "pid:[4026531836]".
func parseNamespace(link string) (uint64, error) {
	_, text, ok := strings.Cut(link, ":[")
	text, closed := strings.CutSuffix(text, "]")
	if !ok || !closed {
		return 0, fmt.Errorf("parse namespace: %.80q is not KIND:[INODE]", link)
	}
	inode, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("parse namespace: %w", err)
	}
	return inode, nil
}

// PIDNamespace returns the PID namespace of this process: its inode number
// (InitPIDNamespace for the initial one) and its level below the namespace of the
// procfs mount. That is the true level if procfs is the host's. In a container
// with a procfs of its own no file tells the true level, which then is at least 1
// and reported as 1: find it in the kernel by the inode number.
func (f FS) PIDNamespace() (inode uint64, level int, err error) {
	inode, err = f.Namespace(0, "pid")
	if err != nil {
		return 0, 0, fmt.Errorf("own PID namespace: %w", err)
	}
	if inode == InitPIDNamespace {
		return inode, 0, nil
	}
	p, err := f.Process(0)
	if err != nil {
		return 0, 0, fmt.Errorf("own PID namespace: %w", err)
	}
	return inode, max(1, len(p.NSPID)-1), nil
}

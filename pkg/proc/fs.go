// Package proc reads what the kernel tells about processes: their identity,
// cgroups, containers, systemd units, namespaces and capabilities; and it opens
// the object files that they have mapped.
//
// Reading is apart from parsing: every parser is a pure function of bytes, with
// a size limit and a fuzz target. Everything read is taken as hostile, because a
// process chooses its own name, its paths and, in part, its cgroup.
//
// Nothing is cached and no function keeps state, so an FS may be used by any
// number of goroutines. The kernel answers at the moment of the call: two calls
// about one process may see different things.
package proc

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// An FS says where the kernel's file systems are. The zero value is this machine:
// "/proc", "/sys" and "/". Tests put fixture trees there; an agent in a container
// puts the host's, such as "/host/proc".
//
// Mount points in Proc/self/mountinfo are used as they stand: they are paths of
// this process, whatever Root says.
type FS struct {
	Proc string // procfs
	Sys  string // sysfs
	Root string // root directory under which the files of container runtimes are
}

// ErrNoProcess is in the chain of errors about a process that does not exist (any
// more), or that procfs hides from us (mount option hidepid=2). It also is
// fs.ErrNotExist.
var ErrNoProcess error = noProcess{}

type noProcess struct{}

func (noProcess) Error() string        { return "no such process" }
func (noProcess) Is(target error) bool { return target == fs.ErrNotExist || target == unix.ESRCH }

// Size limits of files. The kernel's own are far below, except mountinfo, which
// grows with the number of mounts (about 200 bytes each).
const (
	maxProcFile  = 256 << 10
	maxMountinfo = 16 << 20
)

func orDefault(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

func (f FS) procPath(elem ...string) string {
	return filepath.Join(append([]string{orDefault(f.Proc, "/proc")}, elem...)...)
}

func (f FS) root() string { return orDefault(f.Root, "/") }

// readPID reads /proc/PID/name; pid 0 is this process. A process that is gone
// gives ErrNoProcess: ENOENT when it went before the open, ESRCH after.
func (f FS) readPID(pid int, name string) ([]byte, error) {
	b, err := readBounded(f.procPath(pidName(pid), name), maxProcFile)
	if err != nil && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)) {
		if _, statErr := os.Stat(f.procPath(pidName(pid))); statErr != nil || errors.Is(err, unix.ESRCH) {
			return nil, fmt.Errorf("process %d: %w", pid, ErrNoProcess)
		}
	}
	return b, err
}

func pidName(pid int) string {
	if pid == 0 {
		return "self"
	}
	return strconv.Itoa(pid)
}

// readBounded reads a whole file of at most limit bytes; a longer one is an error.
func readBounded(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readAll(file, limit)
}

func readAll(file *os.File, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("read %s: longer than %d bytes", file.Name(), limit)
	}
	return b, nil
}

// clean makes text from a hostile source fit for labels and terminals: valid
// UTF-8 without control characters.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) {
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

package jvm

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

// ErrNoCounters is in the chain of errors about a process that has no file of counters, or none that tells of its heap.
var ErrNoCounters = errors.New("no counters of a JVM")

// maxUsers bounds the directories that are looked into: there is one for each user of the container.
const maxUsers = 64

// HeapUsed returns how many bytes of the heap of a process are used, garbage included, as of the JVM's last update: of G1
// at its last collection. The error is ErrNoCounters, proc.ErrNoProcess, or that of reading.
func HeapUsed(f proc.FS, pid int) (uint64, error) {
	p, err := f.Process(pid)
	if err != nil {
		return 0, err
	}
	b, err := readFile(f, p)
	if err != nil {
		return 0, fmt.Errorf("heap of JVM %d: %w", pid, err)
	}
	counters, err := parseCounters(b)
	if err != nil {
		return 0, fmt.Errorf("heap of JVM %d: %w", pid, err)
	}
	used, ok := heapUsed(counters)
	if !ok {
		return 0, fmt.Errorf("heap of JVM %d: %w of its spaces", pid, ErrNoCounters)
	}
	return used, nil
}

// heapUsed sums up the spaces of all generations.
func heapUsed(counters map[string]int64) (sum uint64, ok bool) {
	space := regexp.MustCompile(`^sun\.gc\.generation\.\d+\.space\.\d+\.used$`)
	for name, v := range counters {
		if space.MatchString(name) && v >= 0 && sum+uint64(v) >= sum {
			sum += uint64(v)
			ok = true
		}
	}
	return sum, ok
}

// readFile reads the file of counters of a process, in its own mount namespace. Names cannot lead out of the process's root,
// and the file must be the process's own user's, as else any could tell of any.
func readFile(f proc.FS, p proc.Process) ([]byte, error) {
	procfs := f.Proc
	if procfs == "" {
		procfs = "/proc"
	}
	dir := path.Join(procfs, strconv.Itoa(p.PID))
	var self unix.Stat_t
	if err := unix.Stat(dir, &self); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(path.Join(dir, "root"))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	tmp, err := root.OpenFile("tmp", os.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, noCounters(err)
	}
	defer tmp.Close()
	for users := 0; users < maxUsers; {
		names, err := tmp.Readdirnames(128)
		if err != nil { // io.EOF
			break
		}
		for _, name := range names {
			if !strings.HasPrefix(name, "hsperfdata_") {
				continue
			}
			users++
			b, err := readOwn(root, path.Join("tmp", name, strconv.Itoa(p.NSPID[len(p.NSPID)-1])), self.Uid)
			if err == nil || !errors.Is(err, ErrNoCounters) {
				return b, err
			}
		}
	}
	return nil, ErrNoCounters
}

// readOwn reads a regular file of a user. Opening never waits, as a pipe's would.
func readOwn(root *os.Root, name string, uid uint32) ([]byte, error) {
	file, err := root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, noCounters(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || st.Uid != uid {
		return nil, ErrNoCounters
	}
	return io.ReadAll(io.LimitReader(file, maxFile+1))
}

func noCounters(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNoCounters
	}
	return err
}

package proc

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
)

// A Process is one thread group, as it was when it was read.
type Process struct {
	PID, PPID int
	// Comm is the name of the main thread, in raw bytes: it may hold ')',
	// newlines and bytes that are not UTF-8. At most 15 bytes, but for kernel
	// workers, whose name procfs extends.
	Comm string
	// StartTicks is the start time in clock ticks (always 1/100 s) since boot.
	// With PID it identifies a process for good.
	StartTicks uint64
	// NSPID is the process ID in each PID namespace from that of the procfs mount
	// (the host's, usually) to the process's own; at least one.
	NSPID        []int
	UID          uint32 // real user ID
	KernelThread bool
	Threads      int
}

// PIDs returns the IDs of all processes that procfs shows, in ascending order.
func (f FS) PIDs() ([]int, error) {
	dir, err := os.Open(f.procPath())
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	pids := make([]int, 0, len(names))
	for _, name := range names {
		if name[0] < '1' || name[0] > '9' {
			continue
		}
		if pid, err := strconv.ParseInt(name, 10, 32); err == nil {
			pids = append(pids, int(pid))
		}
	}
	slices.Sort(pids)
	return pids, nil
}

// ThreadIDs returns the IDs of the threads of a process, in ascending order.
// The error is ErrNoProcess if there is none.
func (f FS) ThreadIDs(pid int) ([]int, error) {
	names, err := os.ReadDir(f.procPath(strconv.Itoa(pid), "task"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("process %d: %w", pid, ErrNoProcess)
	}
	if err != nil {
		return nil, fmt.Errorf("list threads of process %d: %w", pid, err)
	}
	var tids []int
	for _, name := range names {
		if tid, err := strconv.ParseInt(name.Name(), 10, 32); err == nil {
			tids = append(tids, int(tid))
		}
	}
	slices.Sort(tids)
	return tids, nil
}

// Process reads one process; 0 is this one. For the ID of a thread it is the
// process which the thread belongs to. The error is ErrNoProcess if there is none.
func (f FS) Process(pid int) (Process, error) {
	if pid < 0 {
		return Process{}, fmt.Errorf("process %d: %w", pid, ErrNoProcess)
	}
	b, err := f.readPID(pid, "status")
	if err != nil {
		return Process{}, err
	}
	status, err := parseStatus(b)
	if err != nil {
		return Process{}, fmt.Errorf("process %d: %w", pid, err)
	}
	// A thread's own stat has the thread's name and start time.
	stat, err := f.stat(status.tgid)
	if err != nil {
		return Process{}, err
	}
	return Process{
		PID:          status.tgid,
		PPID:         stat.ppid,
		Comm:         stat.comm,
		StartTicks:   stat.startTicks,
		NSPID:        status.nspid,
		UID:          status.uid,
		KernelThread: stat.flags&flagKernelThread != 0,
		Threads:      stat.threads,
	}, nil
}

func (f FS) stat(pid int) (stat, error) {
	b, err := f.readPID(pid, "stat")
	if err != nil {
		return stat{}, err
	}
	s, err := parseStat(b)
	if err != nil {
		return stat{}, fmt.Errorf("process %d: %w", pid, err)
	}
	return s, nil
}

// maxScans bounds how often Descendants looks again for processes that were
// forked while it looked. A fork bomb would keep it there forever.
const maxScans = 5

// Descendants returns the given processes and all their descendants, sorted. A
// process whose parent has died belongs to init and is not found. For IDs that do
// not exist the error names each (ErrNoProcess); the result for the others is
// valid nevertheless.
func (f FS) Descendants(pids ...int) ([]int, error) {
	family := make(map[int]bool)
	var errs []error
	for _, pid := range pids {
		p, err := f.Process(pid)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		family[p.PID] = true
	}
	for scan, grew := 0, len(family) > 0; grew && scan < maxScans; scan++ {
		children, err := f.children()
		if err != nil {
			return nil, errors.Join(append(errs, err)...)
		}
		before := len(family)
		queue := sortedKeys(family)
		for len(queue) > 0 {
			parent := queue[0]
			queue = queue[1:]
			for _, child := range children[parent] {
				if !family[child] {
					family[child] = true
					queue = append(queue, child)
				}
			}
		}
		grew = len(family) > before
	}
	return sortedKeys(family), errors.Join(errs...)
}

// children maps each process to its children. Processes that die meanwhile are
// left out.
func (f FS) children() (map[int][]int, error) {
	pids, err := f.PIDs()
	if err != nil {
		return nil, err
	}
	children := make(map[int][]int)
	for _, pid := range pids {
		if s, err := f.stat(pid); err == nil {
			children[s.ppid] = append(children[s.ppid], pid)
		}
	}
	return children, nil
}

func sortedKeys(set map[int]bool) []int {
	keys := make([]int, 0, len(set))
	for k := range set {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

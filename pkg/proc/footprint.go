package proc

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// A Footprint is who a process is, and what it has in RAM: for two thirds of the price of Process.
type Footprint struct {
	PID          int
	Comm         string // as Process's
	StartTicks   uint64
	KernelThread bool
	Resident     Resident
}

// A Resident is memory in RAM, in bytes, each page counted by every process that has it; zero of zombies. The kernel's
// counters may be off by some 64 pages for each CPU (mm/util.c, percpu_counter batches; exact from Linux 6.18 on).
type Resident struct {
	Total uint64
	// Anonymous is heap, stacks, and written pages of private files: what is neither of a file nor shared memory.
	Anonymous uint64
}

// Footprint reads one process. The error is ErrNoProcess if there is none.
func (f FS) Footprint(pid int) (Footprint, error) {
	s, err := f.stat(pid)
	if err != nil {
		return Footprint{}, err
	}
	b, err := f.readPID(pid, "statm")
	if err != nil {
		return Footprint{}, err
	}
	r, err := parseStatm(b, uint64(os.Getpagesize()))
	if err != nil {
		return Footprint{}, fmt.Errorf("process %d: %w", pid, err)
	}
	return Footprint{PID: s.pid, Comm: s.comm, StartTicks: s.startTicks, KernelThread: s.flags&flagKernelThread != 0, Resident: r}, nil
}

// parseStatm reads the first three numbers of /proc/PID/statm, which are pages: size, resident, shared.
func parseStatm(b []byte, page uint64) (r Resident, err error) {
	fields := bytes.Fields(b)
	if len(fields) < 3 {
		return r, fmt.Errorf("parse statm: %d fields in %.80q, want at least 3", len(fields), b)
	}
	var pages [3]uint64
	for i := range pages {
		// More would be more than there are addresses.
		if pages[i], err = strconv.ParseUint(string(fields[i]), 10, 52); err != nil {
			return r, fmt.Errorf("parse statm: %w", err)
		}
	}
	// Read one after the other, the two may disagree.
	return Resident{Total: pages[1] * page, Anonymous: (pages[1] - min(pages[2], pages[1])) * page}, nil
}

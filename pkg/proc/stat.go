package proc

import (
	"bytes"
	"fmt"
	"strconv"
)

// flagKernelThread is PF_KTHREAD of include/linux/sched.h, in the ninth field of
// /proc/PID/stat.
const flagKernelThread = 0x00200000

// stat is what we need of /proc/PID/stat, see proc_pid_stat(5).
type stat struct {
	pid, ppid  int
	comm       string // raw bytes
	flags      uint64
	threads    int
	startTicks uint64
}

// parseStat reads the one record of /proc/PID/stat. The name stands between the
// first '(' and the last ')': the kernel does not escape it, and it may contain
// ')', spaces, newlines and bytes that are not UTF-8. All that follows is numbers,
// but for the state letter.
func parseStat(b []byte) (stat, error) {
	var s stat
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open {
		return s, fmt.Errorf("parse stat: no name in parentheses in %.80q", b)
	}
	// Indexes count from the state letter, the third field of the manual page.
	const state, ppid, flags, threads, start = 0, 1, 6, 17, 19
	fields := bytes.Fields(b[end+1:])
	if len(fields) <= start || len(fields[state]) != 1 {
		return s, fmt.Errorf("parse stat: %d fields after the name in %.80q, want at least %d", len(fields), b, start+1)
	}
	var err error
	num := func(name string, text []byte, bits int) uint64 {
		n, e := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, bits)
		if e != nil && err == nil {
			err = fmt.Errorf("parse stat: %s: %w", name, e)
		}
		return n
	}
	s.comm = string(b[open+1 : end])
	s.pid = int(num("pid", b[:open], 31))
	s.ppid = int(num("ppid", fields[ppid], 31))
	s.flags = num("flags", fields[flags], 64)
	s.threads = int(num("num_threads", fields[threads], 31))
	s.startTicks = num("starttime", fields[start], 64)
	return s, err
}

// status is what we need of /proc/PID/status, see proc_pid_status(5).
type status struct {
	tgid   int
	uid    uint32 // real user ID, in the user namespace of the reader
	nspid  []int  // process ID in each PID namespace, outermost that procfs shows first
	capEff uint64
}

// maxPIDLevels is MAX_PID_NS_LEVEL of the kernel plus one for the initial
// namespace.
const maxPIDLevels = 33

// parseStatus reads /proc/PID/status. The kernel escapes newlines in the name
// here, so a line is what it says. The process's IDs are NStgid, not NSpid, which
// for a thread are the thread's; kernels without PID namespaces have neither.
func parseStatus(b []byte) (status, error) {
	var s status
	var seen bool
	for line := range bytes.Lines(b) {
		key, value, _ := bytes.Cut(line, []byte(":"))
		fields := bytes.Fields(value)
		if len(fields) == 0 {
			continue
		}
		var err error
		switch string(key) {
		case "Tgid":
			s.tgid, err = atoi31(fields[0])
			seen = true
		case "Uid":
			var uid uint64
			uid, err = strconv.ParseUint(string(fields[0]), 10, 32)
			s.uid = uint32(uid)
		case "NStgid":
			s.nspid, err = parsePIDs(fields)
		case "CapEff":
			s.capEff, err = strconv.ParseUint(string(fields[0]), 16, 64)
		}
		if err != nil {
			return s, fmt.Errorf("parse status: %s: %w", key, err)
		}
	}
	if !seen {
		return s, fmt.Errorf("parse status: no Tgid in %.80q", b)
	}
	if len(s.nspid) == 0 {
		s.nspid = []int{s.tgid}
	}
	return s, nil
}

func parsePIDs(fields [][]byte) ([]int, error) {
	if len(fields) > maxPIDLevels {
		return nil, fmt.Errorf("%d PID namespaces, at most %d exist", len(fields), maxPIDLevels)
	}
	pids := make([]int, 0, len(fields))
	for _, f := range fields {
		pid, err := atoi31(f)
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// atoi31 parses a number of the kernel that is never negative, such as a pid_t.
func atoi31(b []byte) (int, error) {
	n, err := strconv.ParseUint(string(b), 10, 31)
	return int(n), err
}

package proc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// OpenProgram opens the file that a process runs, by the rules of OpenObject, and
// returns which file it is and its name as the kernel shows it. It needs ptrace
// access to the process. A process that is gone, and a kernel thread, give
// ErrNoProcess.
func (f FS) OpenProgram(pid int) (file *os.File, name string, id FileID, err error) {
	link := f.procPath(pidName(pid), "exe")
	target, err := os.Readlink(link)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			err = ErrNoProcess
		}
		return nil, "", id, fmt.Errorf("program of process %d: %w", pid, err)
	}
	if id, err = f.ProgramID(pid); err != nil {
		return nil, "", id, err
	}
	file, _, err = f.OpenObject(id, FileHint{PID: pid})
	return file, strings.TrimSuffix(target, deletedSuffix), id, err
}

// ProgramID tells which file a process runs, for the price of one system call. It needs ptrace access to the process. A
// process that is gone, and a kernel thread, give ErrNoProcess.
func (f FS) ProgramID(pid int) (FileID, error) {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, f.procPath(pidName(pid), "exe"), unix.AT_STATX_DONT_SYNC, unix.STATX_INO|unix.STATX_MTIME, &st)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		err = ErrNoProcess
	}
	if err != nil {
		return FileID{}, fmt.Errorf("program of process %d: %w", pid, err)
	}
	return FileID{Dev: kernelDev(uint64(st.Dev_major), uint64(st.Dev_minor)), Ino: st.Ino, MtimeSec: st.Mtime.Sec}, nil
}

// A StartVector is what the kernel told a program when it started it (getauxval(3)).
type StartVector struct {
	Entry uint64 // address of the program's first instruction (AT_ENTRY)
}

// maxAuxv bounds /proc/PID/auxv: the kernel's saved_auxv has some 70 words.
const maxAuxv = 4 << 10

// StartVector reads /proc/PID/auxv of a 64-bit process, which needs ptrace access.
func (f FS) StartVector(pid int) (StartVector, error) {
	b, err := readBounded(f.procPath(pidName(pid), "auxv"), maxAuxv)
	if err != nil {
		return StartVector{}, fmt.Errorf("start vector of process %d: %w", pid, err)
	}
	v, ok := parseAuxv(b)
	if !ok {
		return v, fmt.Errorf("start vector of process %d: no entry address", pid)
	}
	return v, nil
}

// parseAuxv reads pairs of words, type and value, up to AT_NULL.
func parseAuxv(b []byte) (v StartVector, ok bool) {
	const null, entry = 0, 9 // include/uapi/linux/auxvec.h
	for ; len(b) >= 16; b = b[16:] {
		switch binary.NativeEndian.Uint64(b) {
		case null:
			return v, ok
		case entry:
			v.Entry, ok = binary.NativeEndian.Uint64(b[8:]), true
		}
	}
	return v, ok
}

package perfevent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// tracefsRoots are where tracefs is mounted by convention.
func tracefsRoots() []string { return []string{"/sys/kernel/tracing", "/sys/kernel/debug/tracing"} }

// MountedTracefs finds the tracefs that is mounted, and is os.ErrNotExist if
// none is.
func MountedTracefs() (string, error) {
	for _, root := range tracefsRoots() {
		var fs unix.Statfs_t
		if unix.Statfs(root, &fs) == nil && int64(fs.Type) == unix.TRACEFS_MAGIC {
			return root, nil
		}
	}
	return "", fmt.Errorf("look for tracefs in %s: %w", strings.Join(tracefsRoots(), ", "), os.ErrNotExist)
}

// TracepointID returns the number of a tracepoint, which only tracefs knows. Where tracefs is not mounted it opens an
// instance of its own that appears in no mount table, so that "not mounted" and "not there" are told apart.
//
// Errors: ErrUnknown if there is no such tracepoint.
func TracepointID(subsystem, name string) (uint64, error) {
	for _, part := range []string{subsystem, name} {
		if part == "" || part == "." || part == ".." || strings.ContainsAny(part, "/:\x00") {
			return 0, fmt.Errorf("%w %q: want SUBSYSTEM:TRACEPOINT", ErrUnknown, subsystem+":"+name)
		}
	}
	f, err := openTracefs("events/" + subsystem + "/" + name + "/id")
	if errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("%w %q: this kernel has no such tracepoint: %w", ErrUnknown, subsystem+":"+name, err)
	}
	if err != nil {
		return 0, fmt.Errorf("find tracepoint %s:%s: %w", subsystem, name, err)
	}
	return readID(f)
}

func openTracefs(file string) (*os.File, error) {
	root, err := MountedTracefs()
	if err == nil {
		return os.Open(root + "/" + file)
	}
	detached, derr := detachedTracefs()
	if derr != nil {
		// Not wrapped: neither error says whether there are tracepoints.
		return nil, fmt.Errorf("%v; open one unmounted: %v", err, derr)
	}
	defer unix.Close(detached)
	fd, err := unix.Openat(detached, file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "openat", Path: file, Err: err}
	}
	return os.NewFile(uintptr(fd), file), nil
}

// readID reads the number in an id file, and closes it.
func readID(f io.ReadCloser) (uint64, error) {
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 32))
	if err != nil {
		return 0, fmt.Errorf("read tracepoint id: %w", err)
	}
	id, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("parse tracepoint id: %w", err)
	}
	return id, nil
}

// detachedTracefs returns a descriptor of a tracefs that is mounted nowhere
// (fsopen(2), since 5.2, CAP_SYS_ADMIN).
func detachedTracefs() (int, error) {
	fs, err := unix.Fsopen("tracefs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, os.NewSyscallError("fsopen tracefs", err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, os.NewSyscallError("fsconfig tracefs", err)
	}
	root, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("fsmount tracefs", err)
	}
	return root, nil
}

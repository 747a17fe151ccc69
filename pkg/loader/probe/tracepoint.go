package probe

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// traceTracepoint attaches to a tracepoint through perf, whose number only
// tracefs knows. Where tracefs is not mounted it opens an instance of its own
// that appears in no mount table, so that "not mounted" and "not there" are
// told apart.
func traceTracepoint(ctx context.Context) (outcome, error) {
	prog, err := newCounter(ebpf.ProgramSpec{Type: ebpf.TracePoint})
	if err != nil {
		return outcome{}, err
	}
	defer prog.Close()
	id, err := tracepointID("sched/" + busyTracepoint)
	if err != nil {
		if _, unmounted := mountedTracefs(); unmounted != nil {
			return outcome{detail: "needs tracefs, which is not mounted"}, err
		}
		return outcome{}, err
	}
	cpu, err := allowedCPU()
	if err != nil {
		return outcome{}, err
	}
	event, err := openPerf(unix.PerfEventAttr{Type: unix.PERF_TYPE_TRACEPOINT, Config: id, Sample: 1}, -1, cpu)
	if err != nil {
		return outcome{}, err
	}
	defer event.Close()
	if err := event.attach(prog.prog.FD()); err != nil {
		return outcome{}, err
	}
	return outcome{}, prog.await(ctx)
}

// tracefsRoots are where tracefs is mounted by convention.
func tracefsRoots() []string { return []string{"/sys/kernel/tracing", "/sys/kernel/debug/tracing"} }

// mountedTracefs finds the tracefs that is mounted, and is os.ErrNotExist if
// none is.
func mountedTracefs() (string, error) {
	for _, root := range tracefsRoots() {
		var fs unix.Statfs_t
		if unix.Statfs(root, &fs) == nil && int64(fs.Type) == unix.TRACEFS_MAGIC {
			return root, nil
		}
	}
	return "", fmt.Errorf("look for tracefs in %s: %w", strings.Join(tracefsRoots(), ", "), os.ErrNotExist)
}

// tracefsReadable is what -e subsystem:name and its completion need.
func tracefsReadable(context.Context) (outcome, error) {
	root, err := mountedTracefs()
	if err != nil {
		return outcome{detail: "not mounted"}, err
	}
	// The root is 0700 root:root unless mounted with other options.
	if _, err := os.ReadDir(root + "/events"); err != nil {
		return outcome{detail: "mounted at " + root}, err
	}
	return outcome{detail: "mounted at " + root}, nil
}

func tracepointID(name string) (uint64, error) {
	file := "events/" + name + "/id"
	root, err := mountedTracefs()
	if err == nil {
		f, err := os.Open(root + "/" + file)
		if err != nil {
			return 0, err
		}
		return readID(f)
	}
	detached, derr := detachedTracefs()
	if derr != nil {
		// Not wrapped: neither error says whether there are tracepoints.
		return 0, fmt.Errorf("%v; open one unmounted: %v", err, derr)
	}
	defer unix.Close(detached)
	fd, derr := unix.Openat(detached, file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if derr != nil {
		return 0, &os.PathError{Op: "openat", Path: file, Err: derr}
	}
	return readID(os.NewFile(uintptr(fd), file))
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

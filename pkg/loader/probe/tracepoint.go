package probe

import (
	"context"
	"os"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ebpfprof/ebpfprof/pkg/loader/perfevent"
)

// traceTracepoint attaches to a tracepoint through perf, whose number only
// tracefs knows.
func traceTracepoint(ctx context.Context) (outcome, error) {
	prog, err := newCounter(ebpf.ProgramSpec{Type: ebpf.TracePoint})
	if err != nil {
		return outcome{}, err
	}
	defer prog.Close()
	id, err := perfevent.TracepointID("sched", busyTracepoint)
	if err != nil {
		if _, unmounted := perfevent.MountedTracefs(); unmounted != nil {
			return outcome{detail: "needs tracefs, which is not mounted"}, err
		}
		return outcome{}, err
	}
	cpu, err := perfevent.AllowedCPU()
	if err != nil {
		return outcome{}, err
	}
	event, err := perfevent.Open(unix.PerfEventAttr{Type: unix.PERF_TYPE_TRACEPOINT, Config: id, Sample: 1}, -1, cpu, nil)
	if err != nil {
		return outcome{}, err
	}
	defer event.Close()
	if err := event.Attach(prog.prog.FD()); err != nil {
		return outcome{}, err
	}
	return outcome{}, prog.await(ctx)
}

// tracefsReadable is what -e subsystem:name and its completion need.
func tracefsReadable(context.Context) (outcome, error) {
	root, err := perfevent.MountedTracefs()
	if err != nil {
		return outcome{detail: "not mounted"}, err
	}
	// The root is 0700 root:root unless mounted with other options.
	if _, err := os.ReadDir(root + "/events"); err != nil {
		return outcome{detail: "mounted at " + root}, err
	}
	return outcome{detail: "mounted at " + root}, nil
}

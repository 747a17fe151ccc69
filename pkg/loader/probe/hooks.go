package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/ebpfprof/ebpfprof/pkg/loader/perfevent"
)

// busyTracepoint fires within milliseconds on any machine: on a quiet one
// because the waiting probe itself is switched out and in.
const busyTracepoint = "sched_switch"

// quietFunctions exist to be traced and are hardly ever called: the target of
// the kernel's own self-tests (5.5+, CONFIG_NET), then printk's inside.
func quietFunctions() []string { return []string{"bpf_fentry_test1", "vprintk"} }

func hookChecks() []check {
	hook := func(name, since string, run func(context.Context) error) check {
		return check{Hook, name, func(ctx context.Context) (outcome, error) { return outcome{}, run(ctx) }, since}
	}
	tracing := func(at ebpf.AttachType) func(context.Context) error {
		return func(context.Context) error {
			return attachFunction(ebpf.ProgramSpec{Type: ebpf.Tracing, AttachType: at})
		}
	}
	iter := func(target string) func(context.Context) error {
		return func(context.Context) error { return openIter(target) }
	}
	return []check{
		hook("perf_event", "4.9", samplePerfEvent),
		hook("tp_btf", "5.5", traceBTF),
		hook("raw_tp", "4.17", traceRaw),
		{Hook, "tracepoint", traceTracepoint, "4.7"},
		hook("fentry", "5.5", tracing(ebpf.AttachTraceFEntry)),
		hook("fexit", "5.5", tracing(ebpf.AttachTraceFExit)),
		{Hook, "kprobe", attachKprobe, ""},
		hook("uprobe", "4.17", traceUprobe),
		hook("uprobe_multi", "6.6", traceUprobeMulti),
		hook("iter_task", "5.8", iter("task")),
		hook("iter_task_vma", "5.12", iter("task_vma")),
		hook("iter_tcp", "5.9", iter("tcp")),
	}
}

// openClock opens a 1 kHz CPU timer on one CPU. The period is given in time,
// as a frequency is subject to kernel.perf_event_max_sample_rate.
func openClock() (perfevent.Counter, error) {
	cpu, err := perfevent.AllowedCPU()
	if err != nil {
		return perfevent.Counter{}, err
	}
	return perfevent.Open(unix.PerfEventAttr{
		Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_CPU_CLOCK,
		Sample: uint64(time.Millisecond),
	}, -1, cpu, nil)
}

func samplePerfEvent(ctx context.Context) error {
	c, err := newCounter(ebpf.ProgramSpec{Type: ebpf.PerfEvent})
	if err != nil {
		return err
	}
	defer c.Close()
	clock, err := openClock()
	if err != nil {
		return err
	}
	defer clock.Close()
	if err := clock.Attach(c.prog.FD()); err != nil {
		return err
	}
	return c.await(ctx)
}

// firesOnce loads a counting program, attaches it and waits until it ran.
func firesOnce(ctx context.Context, spec ebpf.ProgramSpec, attach func(*ebpf.Program) (io.Closer, error)) error {
	c, err := newCounter(spec)
	if err != nil {
		return err
	}
	defer c.Close()
	attached, err := attach(c.prog)
	if err != nil {
		return tried("attach program", err)
	}
	defer attached.Close()
	return c.await(ctx)
}

func traceBTF(ctx context.Context) error {
	spec := ebpf.ProgramSpec{Type: ebpf.Tracing, AttachType: ebpf.AttachTraceRawTp, AttachTo: busyTracepoint}
	return firesOnce(ctx, spec, func(prog *ebpf.Program) (io.Closer, error) {
		return link.AttachTracing(link.TracingOptions{Program: prog})
	})
}

func traceRaw(ctx context.Context) error {
	return firesOnce(ctx, ebpf.ProgramSpec{Type: ebpf.RawTracepoint}, func(prog *ebpf.Program) (io.Closer, error) {
		return link.AttachRawTracepoint(link.RawTracepointOptions{Name: busyTracepoint, Program: prog})
	})
}

// attachFunction attaches to the entry or exit of a kernel function.
func attachFunction(spec ebpf.ProgramSpec) error {
	var err error
	for _, spec.AttachTo = range quietFunctions() {
		err = func() error {
			prog, err := minimal(spec)
			if err != nil {
				return err
			}
			defer prog.Close()
			attached, err := link.AttachTracing(link.TracingOptions{Program: prog, AttachType: spec.AttachType})
			if err != nil {
				return tried("attach to "+spec.AttachTo, err)
			}
			return attached.Close()
		}()
		if err == nil || classify(err) != Missing {
			break
		}
	}
	return err
}

func attachKprobe(context.Context) (outcome, error) {
	prog, err := minimal(ebpf.ProgramSpec{Type: ebpf.Kprobe})
	if err != nil {
		return outcome{}, err
	}
	defer prog.Close()
	if _, err := os.Stat("/sys/bus/event_source/devices/kprobe"); errors.Is(err, os.ErrNotExist) {
		// The kprobe PMU exists since 4.17 in every kernel with CONFIG_KPROBE_EVENTS.
		return outcome{detail: "kernel built without CONFIG_KPROBE_EVENTS"}, fmt.Errorf("find kprobe PMU: %w", syscall.ENOENT)
	}
	for _, function := range quietFunctions() {
		var attached link.Link
		if attached, err = link.Kprobe(function, prog, nil); err == nil {
			return outcome{}, attached.Close()
		}
		err = tried("attach to "+function, err)
		if classify(err) != Missing {
			break
		}
	}
	return outcome{}, err
}

// openIter attaches a program to an iterator and opens it. It does not read:
// iter/task_vma would take the mmap lock of every process in turn.
func openIter(target string) error {
	prog, err := minimal(ebpf.ProgramSpec{Type: ebpf.Tracing, AttachType: ebpf.AttachTraceIter, AttachTo: target})
	if err != nil {
		return err
	}
	defer prog.Close()
	it, err := link.AttachIter(link.IterOptions{Program: prog})
	if err != nil {
		return tried("attach iterator", err)
	}
	defer it.Close()
	r, err := it.Open()
	if err != nil {
		return tried("open iterator", err)
	}
	return r.Close()
}

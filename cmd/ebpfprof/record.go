package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ebpfprof/ebpfprof/pkg/agent"
	"github.com/ebpfprof/ebpfprof/pkg/loader"
)

const (
	defaultDuration = 10 * time.Second
	maxBudgetMiB    = 16 << 10
)

// recordFlags is what the user asked for, as given.
type recordFlags struct {
	all         bool
	pids        []int
	comm        string
	cgroup      string
	container   string
	unit        string
	events      []string
	frequency   uint64
	duration    time.Duration
	outputs     []string
	format      string
	summary     string
	metrics     string
	push        string
	ringBytes   int
	asRoot      bool
	budgetMiB   int64
	cacheDir    string
	quiet       bool
	enable      int64
	allocBudget float64
	wakers      bool
	timeline    string
	analysis    string
	preload     bool
}

// addTargets adds the flags that choose targets. named is what the name of --comm is compared with.
func (f *recordFlags) addTargets(fl *pflag.FlagSet, named string) {
	fl.BoolVarP(&f.all, "all", "a", false, "every process of the machine (default)")
	fl.IntSliceVarP(&f.pids, "pid", "p", nil, "these processes, `PID,...`")
	fl.StringVar(&f.comm, "comm", "", named+" whose name matches `REGEX`")
	fl.StringVar(&f.cgroup, "cgroup", "", "processes in the control group `PATH`, or below")
	fl.StringVar(&f.container, "container", "", "processes of the container `ID|NAME`")
	fl.StringVar(&f.unit, "unit", "", "processes of the systemd unit `NAME`")
}

func newRecordCmd() *cobra.Command {
	var f recordFlags
	cmd := &cobra.Command{
		Use:   "record [targets] [flags] [-- CMD ARGS...]",
		Short: "Profile targets for a time, or a command for its life, and write files",
		Long: `Profile targets for a time (-d, 10s by default), or a command for its life, and write one or more files.

Children and threads of targets are included. Without a target and a command, the whole machine is profiled.
The output's extension decides its format; -o - writes to the standard output. Several events go into one profile,
which pprof and speedscope can show one by one; %e in a name makes a file for each event, with its name in place of %e.`,
		Example: `  sudo ebpfprof record -a -d 10s -o profile.svg -o profile.pb.gz
  sudo ebpfprof record --comm '^postgres' -o - --format folded | sort
  sudo ebpfprof record -o build.svg -- make -j8
  sudo ebpfprof record -e cpu -e page-faults:100 -o 'profile.%e.svg' -p 4711
  sudo ebpfprof record -e heap -p 4711 -d 1s -o heap.pb.gz
  sudo ebpfprof record -e heap --timeline heap.svg --analysis heap.txt -- ./server`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if at := cmd.ArgsLenAtDash(); at != 0 && len(args) > 0 {
				return usageError("unexpected argument %q: a command to run comes after --", args[0])
			}
			r, err := f.plan(args, cmd.Flags().Changed("duration"))
			if err != nil {
				return err
			}
			return r.run(cmd.Context())
		},
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	f.addTargets(fl, "processes and threads")
	fl.StringArrayVarP(&f.events, "event", "e", []string{"cpu"}, "what to sample, `NAME[@HZ|:PERIOD]`, repeatable; see docs/events.md")
	fl.Uint64VarP(&f.frequency, "frequency", "F", loader.DefaultFrequency, "samples a second and CPU, in `Hz`")
	fl.DurationVarP(&f.duration, "duration", "d", defaultDuration, "how long; with a command, its life unless given")
	fl.StringArrayVarP(&f.outputs, "output", "o", nil, "`FILE` to write, repeatable (default ebpfprof-TARGET-TIME.pb.gz)")
	fl.StringVar(&f.format, "format", "", "format of the outputs, whatever their extension: "+formatNames())
	fl.StringVar(&f.summary, "summary", "", "write counts and overhead as JSON to `FILE`")
	fl.StringVar(&f.metrics, "metrics", "", "write the same in Prometheus' text format to `FILE`")
	fl.StringVar(&f.push, "push", "", "send the profile to Pyroscope at `URL`, or to an OTLP receiver at otlp+URL; then no file is written but those of -o")
	fl.IntVar(&f.ringBytes, "ring-bytes", 0, "size of the kernel's ring, a power of two (default by rate and CPUs)")
	fl.BoolVar(&f.wakers, "wakers", false, "for -e off-cpu: put the stack of who ended each wait on top of it, under [waker: NAME]")
	fl.Float64Var(&f.allocBudget, "alloc-budget", 1, "what probes of the event alloc may cost the targets on average, in `PERCENT` of the CPU time that they use; 0: no limit")
	fl.BoolVar(&f.preload, "preload", false, "for -e alloc: sample within the command and its children, by a library that LD_PRELOAD puts in front of theirs")
	fl.Int64Var(&f.budgetMiB, "unwind-budget", agent.DefaultUnwindBudget>>20, "kernel memory for unwind tables, in `MiB`; 0: frame pointers only")
	fl.StringVar(&f.cacheDir, "unwind-cache", "/var/cache/ebpfprof/unwind", "`DIR` for unwind tables; empty: keep none")
	fl.Int64Var(&f.enable, "heap-enable", 0, "for -e heap: turn memory profiling on in Go programs that have it off, one sample per `BYTES`, and off again at the end")
	fl.StringVar(&f.timeline, "timeline", "", "for -e heap: draw the heap over time and what made its peak, as SVG, to `FILE`")
	fl.StringVar(&f.analysis, "analysis", "", "for -e heap: write peak, leaks and who allocates as text to `FILE`")
	fl.BoolVar(&f.asRoot, "as-root", false, "under sudo, run the command as root, not as you")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "no progress and no last line")
	return cmd
}

func usageError(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// plan checks the flags against each other and makes a recording of them. Nothing has happened yet.
func (f *recordFlags) plan(command []string, durationGiven bool) (*recording, error) {
	r := &recording{
		command: command, duration: f.duration, summary: f.summary, metrics: f.metrics,
		ringBytes: f.ringBytes, quiet: f.quiet, owner: invokingUser(),
		allocBudget:  f.allocBudget / 100,
		wakers:       f.wakers,
		unwindBudget: f.budgetMiB << 20, unwindCache: f.cacheDir,
	}
	if !f.asRoot {
		r.runAs = r.owner
	}
	if len(command) > 0 && !durationGiven {
		r.duration = 0
	} else if f.duration <= 0 {
		return nil, usageError("duration %s: want more than 0", f.duration)
	}
	if f.ringBytes != 0 && (f.ringBytes < os.Getpagesize() || f.ringBytes&(f.ringBytes-1) != 0 || f.ringBytes > 1<<30) {
		return nil, usageError("--ring-bytes %d: want a power of two from %d to %d", f.ringBytes, os.Getpagesize(), 1<<30)
	}
	if f.budgetMiB < 0 || f.budgetMiB > maxBudgetMiB {
		return nil, usageError("--unwind-budget %d: want 0 to %d MiB", f.budgetMiB, maxBudgetMiB)
	}
	if f.allocBudget < 0 || f.allocBudget > 100 {
		return nil, usageError("--alloc-budget %g: want 0 to 100 percent", f.allocBudget)
	}
	var err error
	if r.targets, err = f.targets(len(command) > 0); err != nil {
		return nil, err
	}
	names, heap, err := takeHeap(f.events)
	if err != nil {
		return nil, err
	}
	if len(names) > 0 {
		if r.events, err = parseEvents(names, f.frequency); err != nil {
			return nil, err
		}
	}
	if f.enable < 0 || f.enable > 0 && heap == nil {
		return nil, usageError("--heap-enable %d: want a number of bytes, with -e %s", f.enable, heapEvent)
	}
	names = nil
	for _, e := range r.events {
		names = append(names, e.Name)
	}
	if heap != nil {
		r.heap = newHeapWatch(r.fs, r.targets, r.targets.Child, f.enable)
		names = append(names, heapEvent)
		if r.wantsLiveHeap() {
			r.events = append(r.events, *heap)
			r.live = &liveHeap{event: len(r.events) - 1}
		}
	}
	if err := f.planHistory(r); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(r.events, loader.Event.IsAlloc) && len(r.targets.PIDs) == 0 && !r.targets.Child {
		return nil, usageError("event alloc: its probes cost every call of what they are put on: name processes with -p, or a command after --")
	}
	if f.wakers && !slices.ContainsFunc(r.events, loader.Event.IsOffCPU) {
		return nil, usageError("--wakers: want it with -e off-cpu")
	}
	if f.preload {
		if err := r.planPreload(); err != nil {
			return nil, err
		}
	}
	if r.push, err = planPush(f.push); err != nil {
		return nil, err
	}
	if r.push != nil && len(f.outputs) == 0 {
		return r, nil
	}
	if r.outputs, err = planOutputs(f.outputs, f.format, f.label(command), names); err != nil {
		return nil, err
	}
	return r, nil
}

func (f *recordFlags) targets(child bool) (agent.Targets, error) {
	t := agent.Targets{PIDs: f.pids, Cgroup: f.cgroup, Container: f.container, Unit: f.unit}
	var given []string
	for name, set := range map[string]bool{
		"--all": f.all, "--pid": len(f.pids) > 0, "--comm": f.comm != "", "--cgroup": f.cgroup != "",
		"--container": f.container != "", "--unit": f.unit != "",
	} {
		if set {
			given = append(given, name)
		}
	}
	if len(given) > 1 {
		return t, usageError("%s: give one kind of target", strings.Join(sorted(given), " and "))
	}
	for _, pid := range f.pids {
		if pid <= 0 {
			return t, usageError("--pid %d: no such number", pid)
		}
	}
	if f.comm != "" {
		re, err := regexp.Compile(f.comm)
		if err != nil {
			return t, usageError("--comm: %w", err)
		}
		t.Comm = re
	}
	t.Child = child && len(given) == 0
	return t, nil
}

// label names the target in the default output's name.
func (f *recordFlags) label(command []string) string {
	switch {
	case len(command) > 0:
		return command[0]
	case len(f.pids) > 0:
		return strconv.Itoa(f.pids[0])
	}
	for _, s := range []string{f.comm, f.cgroup, f.container, f.unit} {
		if s != "" {
			return s
		}
	}
	return "all"
}

// parseEvents reads NAME[@HZ|:PERIOD] of each event.
func parseEvents(names []string, hz uint64) ([]loader.Event, error) {
	var events []loader.Event
	for _, name := range names {
		e, err := loader.ParseEvent(name, hz)
		if missingTracepoint(err) {
			return nil, &exitError{exitUnsupported, err}
		}
		if err != nil {
			return nil, usageError("-e %s: %w", name, err)
		}
		events = append(events, e)
	}
	if err := agent.CheckKinds(agent.KindsOf(events...)); err != nil {
		return nil, &exitError{exitUsage, err}
	}
	return events, nil
}

// missingTracepoint reports whether an event's name is right, and the kernel does not have it or does not show it.
func missingTracepoint(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission)
}

package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/loader/perfevent"
)

// defaultStatEvents are counted when none is named.
const defaultStatEvents = "task-clock,context-switches,cpu-migrations,page-faults,cycles,instructions,branches,branch-misses," +
	"cache-references,cache-misses,L1-dcache-loads,L1-dcache-load-misses,L1-icache-loads,L1-icache-load-misses," +
	"LLC-loads,LLC-load-misses"

// statFlags is what the user asked for, as given.
type statFlags struct {
	targets  recordFlags // of these, the targets only
	events   []string
	duration time.Duration
	interval time.Duration
	per      string
	repeat   int
	json     bool
	output   string
	asRoot   bool
}

func newStatCmd() *cobra.Command {
	var f statFlags
	cmd := &cobra.Command{
		Use:   "stat [targets] [flags] [-- CMD ARGS...]",
		Short: "Count events of targets for a time, or of a command for its life, as perf stat does",
		Long: `Count events of targets for a time (-d, 10s by default), or of a command from its exec to its end.

Children and threads of targets are included. Without a target and a command, the whole machine is counted.
Events are named as by perf: ` + strings.ReplaceAll(defaultStatEvents, ",", ", ") + `,
which is the default; further caches, minor-faults, major-faults, cpu-clock, rHEX for a raw event of this processor,
and SUBSYSTEM:NAME for a tracepoint. Counts are exact, unless events share the counters of the processor: then they
are scaled to the whole time, and the part for which they were counted is shown in brackets.

An event that this machine cannot count is said to be so, with the reason. If it was named, or nothing can be counted,
the exit code is 4; with a command that fails, the command's.`,
		Example: `  sudo ebpfprof stat -- make -j8
  sudo ebpfprof stat -e page-faults,context-switches --json -- ls
  sudo ebpfprof stat -r 10 -- ./benchmark
  sudo ebpfprof stat -a -d 5s --per service
  sudo ebpfprof stat -p 1234 --interval 1s`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if at := cmd.ArgsLenAtDash(); at != 0 && len(args) > 0 {
				return usageError("unexpected argument %q: a command to run comes after --", args[0])
			}
			s, err := f.plan(args, cmd.Flags().Changed("duration"))
			if err != nil {
				return err
			}
			return s.run(cmd.Context())
		},
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	f.targets.addTargets(fl, "processes")
	fl.StringSliceVarP(&f.events, "event", "e", nil, "what to count, `NAME,...`, repeatable")
	fl.DurationVarP(&f.duration, "duration", "d", defaultDuration, "how long; with a command, its life unless given")
	fl.DurationVarP(&f.interval, "interval", "I", 0, "print what was counted in each `TIME` too")
	fl.StringVar(&f.per, "per", "", "a row for each `service|process|thread`")
	fl.IntVarP(&f.repeat, "repeat", "r", 1, "run the command `N` times, and print means and how far they spread")
	fl.BoolVar(&f.json, "json", false, "print JSON; with --interval, one object a line")
	fl.StringVarP(&f.output, "output", "o", "-", "`FILE` to write; - is stdout")
	fl.BoolVar(&f.asRoot, "as-root", false, "under sudo, run the command as root, not as you")
	return cmd
}

// Kinds of rows.
const (
	perService = "service"
	perProcess = "process"
	perThread  = "thread"
)

const minInterval = 10 * time.Millisecond

// plan checks the flags against each other, and tries the events.
func (f *statFlags) plan(command []string, durationGiven bool) (*counting, error) {
	c := &counting{
		command: command, duration: f.duration, interval: f.interval, per: f.per, json: f.json, output: f.output, repeat: f.repeat,
		named: len(f.events) > 0, owner: invokingUser(),
	}
	if !f.asRoot {
		c.runAs = c.owner
	}
	switch f.per {
	case "", perService, perProcess, perThread:
	default:
		return nil, usageError("--per %q: want service, process or thread", f.per)
	}
	if f.interval != 0 && f.interval < minInterval {
		return nil, usageError("--interval %s: want at least %s", f.interval, minInterval)
	}
	switch {
	case f.repeat < 1:
		return nil, usageError("--repeat %d: want at least 1", f.repeat)
	case f.repeat > 1 && len(command) == 0:
		return nil, usageError("--repeat needs a command to repeat, after --")
	case f.repeat > 1 && (f.interval != 0 || f.per != ""):
		return nil, usageError("--repeat prints means of whole runs: leave out --interval and --per")
	}
	if len(command) > 0 && !durationGiven {
		c.duration = 0
	} else if f.duration <= 0 {
		return nil, usageError("duration %s: want more than 0", f.duration)
	}
	var err error
	if c.targets, err = f.targets.targets(len(command) > 0); err != nil {
		return nil, err
	}
	names := f.events
	if len(names) == 0 {
		names = strings.Split(defaultStatEvents, ",")
	}
	if c.asked, err = lookupEvents(names); err != nil {
		return nil, err
	}
	return c, nil
}

// lookupEvents finds events by name, each once.
func lookupEvents(names []string) ([]perfevent.Event, error) {
	var events []perfevent.Event
	seen := map[string]bool{}
	for _, name := range names {
		name = strings.TrimSpace(name)
		if seen[name] {
			continue
		}
		seen[name] = true
		e, err := perfevent.Lookup(name)
		if errors.Is(err, perfevent.ErrUnknown) {
			return nil, &exitError{exitUsage, err}
		}
		if err != nil {
			return nil, &exitError{exitUnsupported, err}
		}
		events = append(events, e)
	}
	if len(events) > loader.MaxCounts {
		return nil, usageError("%d events: at most %d are counted at once", len(events), loader.MaxCounts)
	}
	return events, nil
}

// openOutput returns where the counts go.
func (c *counting) openOutput() (*os.File, error) {
	if c.output == "-" {
		return os.Stdout, nil
	}
	f, err := os.Create(c.output)
	if err != nil {
		return nil, &exitError{exitFailed, fmt.Errorf("write counts: %w", err)}
	}
	if c.owner != nil {
		_ = f.Chown(int(c.owner.uid), int(c.owner.gid)) // it is written all the same
	}
	return f, nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebpfprof/ebpfprof/pkg/agent"
	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/loader/perfevent"
	"github.com/ebpfprof/ebpfprof/pkg/loader/probe"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

// A counting is one run of stat.
type counting struct {
	targets  agent.Targets
	command  []string
	asked    []perfevent.Event
	named    bool          // the user named the events
	duration time.Duration // 0: the command's life
	interval time.Duration // 0: none
	per      string
	json     bool
	output   string
	repeat   int      // of the command: 0 or 1 is once
	owner    *account // of the file; nil: as we are
	runAs    *account // of the command; nil: as we are

	fs      proc.FS
	events  []perfevent.Event                   // that can be counted
	cannot  map[int]*perfevent.UnsupportedError // by index in asked
	source  countSource
	child   *child
	started time.Time
	total   countTable
	// Of a command that is repeated: what its runs counted, total being the sum.
	repeated    *repetition
	interrupted bool // a signal was passed on to the command
}

// A countSource counts the events of a counting's targets. begin starts the command too, if there is one.
type countSource interface {
	begin() error
	// read returns what was counted since the last read.
	read() (countTable, error)
	Close() error
}

// run counts, prints, and returns the exit code as an error.
func (c *counting) run(ctx context.Context) error {
	if ctx == nil {
		ctx = context.Background()
	}
	if err := probe.Privileges(); err != nil {
		return &exitError{exitUnsupported, err}
	}
	out, err := c.openOutput()
	if err != nil {
		return err
	}
	defer out.Close()
	c.events, c.cannot = loader.Supported(c.asked)
	if len(c.events) == 0 {
		if err := c.print(out, &countTable{}); err != nil {
			return err
		}
		return &exitError{exitUnsupported, fmt.Errorf("nothing that was asked for can be counted: %s", c.reasons())}
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer signal.Stop(signals)
	if c.repeat > 1 {
		return c.runRepeated(ctx, signals, out)
	}
	if err := c.count(ctx, signals, out); err != nil {
		return err
	}
	if err := c.print(out, &c.total); err != nil {
		return err
	}
	code := 0
	if c.child != nil {
		code = c.child.wait(signals)
	}
	return c.verdict(code)
}

// count counts once; the total is complete when it returns, though the command may go on.
func (c *counting) count(ctx context.Context, signals <-chan os.Signal, out io.Writer) error {
	c.total, c.child = countTable{}, nil
	if err := c.open(); err != nil {
		return countError(err)
	}
	defer c.source.Close()
	c.started = time.Now()
	if err := c.source.begin(); err != nil {
		return countError(err)
	}
	if err := c.wait(ctx, signals, out); err != nil {
		return countError(err)
	}
	return nil
}

func countError(err error) error {
	if exit := (*exitError)(nil); errors.As(err, &exit) {
		return err
	}
	if errors.Is(err, loader.ErrKernel) {
		return &exitError{exitUnsupported, fmt.Errorf("%w\nRun 'ebpfprof doctor' to see what this machine lacks", err)}
	}
	return &exitError{exitFailed, err}
}

// wait returns when counting is over; the total is complete then.
func (c *counting) wait(ctx context.Context, signals <-chan os.Signal, out io.Writer) error {
	var timeout, ticks <-chan time.Time
	if c.duration > 0 {
		t := time.NewTimer(c.duration)
		defer t.Stop()
		timeout = t.C
	}
	if c.interval > 0 {
		t := time.NewTicker(c.interval)
		defer t.Stop()
		ticks = t.C
	}
	// What is read seldom has room for fewer processes that come and go.
	look := time.NewTicker(targetInterval)
	defer look.Stop()
	var slice countTable
	for {
		over := false
		select {
		case <-ctx.Done():
			over = true
		case <-timeout:
			over = true
		case <-c.child.done():
			over = true
		case sig := <-signals:
			if c.child != nil {
				c.interrupted = true
				c.child.signal(sig)
				continue
			}
			over = true
		case <-ticks:
			if err := c.read(&slice); err != nil {
				return err
			}
			if err := c.print(out, &slice); err != nil {
				return err
			}
			slice = countTable{from: slice.elapsed}
			continue
		case <-look.C:
			over = !c.targetsLive()
		}
		if err := c.read(&slice); err != nil || over {
			return err
		}
	}
}

// read adds what was counted since to the total, and to a slice of it.
func (c *counting) read(slice *countTable) error {
	t, err := c.source.read()
	if err != nil {
		return err
	}
	t.elapsed = time.Since(c.started)
	slice.add(t)
	c.total.add(t)
	return nil
}

// targetsLive is false when processes were named and all of them have gone.
func (c *counting) targetsLive() bool {
	alive := func(pid int) bool { _, err := c.fs.Process(pid); return err == nil }
	return len(c.targets.PIDs) == 0 || slices.ContainsFunc(c.targets.PIDs, alive)
}

// verdict is the exit code: the command's own, or 4 for an event that was named and could not be counted.
func (c *counting) verdict(code int) error {
	if code != 0 {
		return &exitError{code, nil}
	}
	if c.named && len(c.cannot) > 0 {
		return &exitError{exitUnsupported, errors.New(c.reasons())}
	}
	return nil
}

// reasons says in one sentence which events cannot be counted, why, and what can.
func (c *counting) reasons() string {
	var order []string
	names, instead := map[string][]string{}, map[string][]string{}
	for i, e := range c.asked {
		u := c.cannot[i]
		if u == nil {
			continue
		}
		if names[u.Reason] == nil {
			order = append(order, u.Reason)
		}
		names[u.Reason] = append(names[u.Reason], e.Name)
		if u.Instead != "" && !slices.Contains(instead[u.Reason], u.Instead) {
			instead[u.Reason] = append(instead[u.Reason], u.Instead)
		}
	}
	for i, reason := range order {
		order[i] = strings.Join(names[reason], ", ") + ": " + reason
		if use := instead[reason]; use != nil {
			order[i] += "; use -e " + strings.Join(use, ",")
		}
	}
	return strings.Join(order, "; ")
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	pprof "github.com/google/pprof/profile"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/ebpfprof/ebpfprof/pkg/agent"
	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/loader/perfevent"
	"github.com/ebpfprof/ebpfprof/pkg/loader/probe"
	"github.com/ebpfprof/ebpfprof/pkg/preload"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// A recording is one run of record.
type recording struct {
	targets     agent.Targets
	command     []string
	events      []loader.Event
	duration    time.Duration // 0: the command's life
	outputs     []*output
	summary     string
	metrics     string
	push        *pushTarget // nil: nowhere
	heap        *heapWatch  // nil: not asked for
	live        *liveHeap   // nil: as heap, or of Go programs only
	timeline    string      // of the live heap
	analysis    string
	unprobed    error // why there is no live heap
	ringBytes   int
	quiet       bool
	allocBudget float64 // share of the CPU time of the targets
	wakers      bool    // of the event off-cpu
	// unwindBudget is the kernel memory for unwind tables, bytes; 0: frame pointers only.
	unwindBudget int64
	unwindCache  string
	owner        *account // of the files; nil: as we are
	runAs        *account // of the command; nil: as we are

	fs       proc.FS
	sampler  *loader.Sampler
	recorder *agent.Recorder
	offCPU   agent.OffCPUTimes // of the event off-cpu
	allocs   *allocating       // nil: without the event alloc
	preload  bool
	helper   *preload.File // nil: without --preload
	child    *child
	progress *progress
	started  time.Time

	before, after agent.Footing // of the targets, at start and end; nil: not read
}

// run samples, writes, and returns the exit code as an error.
func (r *recording) run(ctx context.Context) error {
	for _, o := range r.outputs {
		if err := o.check(); err != nil {
			return err
		}
	}
	if len(r.events) == 0 {
		return r.runHeap(ctx)
	}
	if err := probe.Privileges(); err != nil {
		return r.withoutLive(ctx, err)
	}
	for _, e := range r.events {
		if err := canSample(e); err != nil {
			return &exitError{exitUnsupported, err}
		}
	}
	defer r.closeHelper()
	if err := r.open(); errors.Is(err, loader.ErrKernel) {
		return r.withoutLive(ctx, err)
	} else if err != nil {
		return err
	}
	defer r.sampler.Close()
	defer r.recorder.Close()
	defer r.allocs.close()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer signal.Stop(signals)

	if err := r.start(); err != nil {
		return err
	}
	if r.heap != nil {
		pid := 0
		if r.child != nil {
			pid = r.child.pid()
		}
		r.heap.start(pid)
	}
	read := make(chan error, 1)
	go func() { read <- r.sampler.Run(r.handler()) }()
	duration, err := r.wait(ctx, signals, read)
	r.progress.clear()
	var heap heapResult
	if r.heap != nil {
		heap = r.endHeap()
	}
	if err != nil {
		return &exitError{exitFailed, err}
	}
	return r.finish(duration, signals, heap)
}

// open loads the programs and enters the targets.
func (r *recording) open() error {
	filter, err := r.targets.Filter(r.fs)
	if err != nil {
		return &exitError{exitFailed, err}
	}
	inode, _, err := r.fs.PIDNamespace()
	if err != nil {
		return &exitError{exitFailed, err}
	}
	r.sampler, err = loader.Open(loader.Options{
		Events: r.events, Filter: filter, RingBytes: r.ringBytes,
		Namespace: inode, OffCPU: loader.OffCPU{Visited: r.offCPU.Visited, Wakers: r.wakers},
	})
	if errors.Is(err, loader.ErrKernel) {
		return &exitError{exitUnsupported, fmt.Errorf("%w\nRun 'ebpfprof doctor' to see what this machine lacks", err)}
	}
	if err != nil {
		return &exitError{exitFailed, err}
	}
	r.progress = newProgress(os.Stderr, r.quiet || !term.IsTerminal(int(os.Stderr.Fd())), r.duration)
	r.recorder, err = agent.NewRecorder(r.fs, agent.KindsOf(r.events...), r.sampler.Reannounce, func() {
		r.progress.show(time.Since(r.started), r.recorder.Samples())
	})
	if err != nil {
		r.sampler.Close()
		return &exitError{exitUsage, err}
	}
	if slices.ContainsFunc(r.outputs, (*output).showsTimes) {
		r.recorder.KeepTimes()
	}
	if err := errors.Join(r.openHelper(), r.openAllocs()); err != nil {
		r.sampler.Close()
		return startError(err)
	}
	if r.unwindBudget > 0 {
		r.recorder.Unwind(r.sampler, r.unwindBudget, r.unwindCache)
	}
	if err := r.targets.Seed(r.fs, r.sampler); err != nil {
		r.sampler.Close()
		return &exitError{exitFailed, err}
	}
	return nil
}

// start lets the events fire, and the command run after that.
func (r *recording) start() error {
	if len(r.command) > 0 {
		var err error
		if r.child, err = startChildWith(r.environ(), r.command, r.runAs); err != nil {
			return err
		}
		if r.targets.Child {
			if err := r.sampler.AddTarget(r.child.pid(), 0); err != nil {
				r.child.kill()
				return &exitError{exitFailed, err}
			}
		}
	}
	r.prepare()
	r.before = r.footing()
	r.started = time.Now()
	if err := r.sampler.Start(); err != nil {
		if r.child != nil {
			r.child.kill()
		}
		return startError(err)
	}
	if err := r.startAllocs(); err != nil {
		if r.child != nil {
			r.child.kill()
		}
		return startError(err)
	}
	if r.child != nil {
		r.child.release()
	}
	return nil
}

// prepareLimit bounds how long a start may wait for unwind tables.
const prepareLimit = 100 * time.Millisecond

// prepare compiles unwind tables ahead. A command that waits for us to begin can wait for them; for others, sampling
// begins at once.
func (r *recording) prepare() {
	if p, ok := r.allocs.preloaded(); ok {
		r.recorder.File(p.Helper())
	}
	pids, limit := slices.Clone(r.targets.PIDs), time.Duration(0)
	if r.child != nil {
		pids, limit = append(pids, r.child.pid()), prepareLimit
	}
	r.recorder.Prepare(limit, pids...)
}

// canSample finds out by trying whether this machine has an event. Of what needs no PMU, Start tells.
func canSample(e loader.Event) error {
	if !e.Hardware() {
		return nil
	}
	return perfevent.CanSample(perfevent.Event{Name: e.Name, Type: e.Type, Config: e.Config})
}

// startError says what an event that cannot be opened means.
func startError(err error) error {
	if !errors.Is(err, loader.ErrKernel) {
		return &exitError{exitFailed, err}
	}
	return &exitError{exitUnsupported, err}
}

// wait returns when sampling is over and the ring is drained, with the time for which events fired.
func (r *recording) wait(ctx context.Context, signals <-chan os.Signal, read <-chan error) (time.Duration, error) {
	var timeout <-chan time.Time
	if r.duration > 0 {
		t := time.NewTimer(r.duration)
		defer t.Stop()
		timeout = t.C
	}
	look := time.NewTicker(targetInterval)
	defer look.Stop()
	for {
		select {
		case err := <-read:
			if err == nil {
				err = errors.New("ring closed")
			}
			return 0, err
		case <-ctx.Done():
		case <-timeout:
		case <-r.child.done():
		case sig := <-signals:
			if r.child != nil {
				r.child.signal(sig) // it decides when to end
				continue
			}
		case <-look.C:
			if r.targetsLive() {
				continue
			}
		}
		r.allocs.stop()
		r.sampler.Stop()
		r.after = r.footing()
		duration := time.Since(r.started)
		return duration, <-read
	}
}

const targetInterval = time.Second

// targetsLive is false when processes were named and all of them, and their children, have gone. Of children only a
// sampler knows.
func (r *recording) targetsLive() bool {
	if len(r.targets.PIDs) == 0 {
		return true
	}
	alive := func(pid int) bool { _, err := r.fs.Process(pid); return err == nil }
	return slices.ContainsFunc(r.targets.PIDs, alive) || r.sampler != nil && r.sampler.HasTargets()
}

// finish builds and writes the profiles and tells how it went. The command's exit code is ours.
func (r *recording) finish(duration time.Duration, signals <-chan os.Signal, heap heapResult) error {
	counters, err := r.counters()
	if err != nil {
		return &exitError{exitFailed, err}
	}
	kernelBytes := r.sampler.KernelBytes()
	if err := r.endLive(duration, counters, &heap); err != nil {
		return &exitError{exitFailed, err}
	}
	waited, err := r.fitOffCPU()
	if err != nil {
		return &exitError{exitFailed, err}
	}
	stacks, failed := r.writeProfiles(duration, counters, heap.profile)
	failed = errors.Join(failed, heap.failed, r.writeHistory())
	summary := agent.Summary{
		DurationSeconds: duration.Seconds(),
		CPUs:            r.sampler.CPUs(),
		Events:          map[string]agent.EventSummary{},
		Heap:            heap.summary,
		UnwindTables:    r.recorder.UnwindStats(),
	}
	var programs time.Duration
	for i, e := range r.events {
		s := agent.NewEventSummary(counters[i], stacks[i])
		s.Unit, s.Skid = agent.KindOf(e).Type.Unit, r.sampler.Skid(i)
		if e.IsOffCPU() {
			s.OffCPU = waited
			if r.wakers {
				s.OffCPU.Wakers = (*agent.WakersSummary)(new(r.sampler.Wakers()))
			}
		}
		s.Growth = r.growth(i, stacks[i].Value)
		if e.IsAlloc() || e.IsHeap() {
			s.Alloc = r.allocs.summary(e, stacks[i].Objects)
		}
		r.live.enter(&s, e)
		summary.Events[e.Name] = s
		programs += counters[i].RunTime
	}
	summary.Overhead = agent.MeasureOverhead(programs, kernelBytes)
	if first := r.recorder.FirstSample(); first > 0 {
		summary.StartSeconds = agent.SinceStart(r.fs, first).Seconds()
	}
	failed = errors.Join(failed, r.writeSummary(summary))
	if !r.quiet {
		reportGrowth(summary)
		r.report(summary, counters)
	}
	var none error
	if r.recorder.Samples() == 0 && (heap.summary == nil || heap.summary.Processes == 0) {
		none = r.noSamples(duration, counters)
	}
	return r.end(failed, signals, none)
}

// end returns the exit code as an error: the command's own, if there is one; none is why there is nothing.
func (r *recording) end(failed error, signals <-chan os.Signal, none error) error {
	if r.child != nil {
		code := r.child.wait(signals)
		if failed != nil && code == 0 {
			return &exitError{exitFailed, failed}
		}
		if failed != nil {
			fmt.Fprintln(os.Stderr, "ebpfprof:", failed)
		}
		if code != 0 {
			return &exitError{code, nil}
		}
		return nil
	}
	if failed != nil {
		return &exitError{exitFailed, failed}
	}
	if none != nil {
		return &exitError{exitNoSamples, none}
	}
	return nil
}

// counters are those of the kernel side, by event.
func (r *recording) counters() ([]loader.Counters, error) {
	all := make([]loader.Counters, len(r.events))
	for i := range r.events {
		var err error
		if all[i], err = r.sampler.Counters(i); err != nil {
			return nil, err
		}
		r.allocs.discount(&all[i], r.events[i])
	}
	return all, nil
}

// fitOffCPU makes the samples of the event off-cpu, if there is one, stand for the exact times, and tells of both.
func (r *recording) fitOffCPU() (*agent.OffCPUSummary, error) {
	kind := slices.IndexFunc(r.events, loader.Event.IsOffCPU)
	if kind < 0 {
		return nil, nil
	}
	last, err := r.sampler.OffCPUTotals()
	if err != nil {
		return nil, err
	}
	totals := r.offCPU.Complete(last)
	return agent.NewOffCPUSummary(totals, r.recorder.FitOffCPU(kind, totals)), nil
}

// writeProfiles writes and pushes what was recorded. It returns how whole the stacks are, by event.
func (r *recording) writeProfiles(duration time.Duration, counters []loader.Counters, heap *pprof.Profile) ([]agent.Stacks, error) {
	var failed error
	all, stacks := r.recorder.Profile(r.started, duration, r.comments(counters, allEvents)...)
	ofAll := r.recorder.Times()
	for _, o := range r.outputs {
		p, times := all, ofAll
		if r.isHeap(o) {
			if heap != nil {
				failed = errors.Join(failed, o.write(heap, nil, r.owner))
			}
			continue
		}
		if o.event != allEvents {
			p = r.recorder.ProfileOf(o.event, r.started, duration, r.comments(counters, o.event)...)
			times = r.recorder.Times()
		}
		failed = errors.Join(failed, o.write(p, times, r.owner))
	}
	if r.push != nil {
		if heap != nil {
			failed = errors.Join(failed, r.push.push(context.Background(), heap, 0))
		}
		for i := range r.events {
			if r.events[i].IsHeap() {
				continue
			}
			p := r.recorder.ProfileOf(i, r.started, duration, r.comments(counters, i)...)
			failed = errors.Join(failed, r.push.push(context.Background(), p, counters[i].LostTotal()))
		}
	}
	r.live.replace(stacks)
	return stacks, failed
}

// comments say of a profile what its samples do not.
func (r *recording) comments(counters []loader.Counters, event int) []string {
	var lost uint64
	for i, c := range counters {
		if event == allEvents || event == i {
			lost += c.LostTotal()
		}
	}
	comments := []string{profile.LostComment(int64(lost))}
	for i, e := range r.events {
		if skid := r.sampler.Skid(i); skid != "" && (event == allEvents || event == i) {
			comments = append(comments, "skid of "+e.Name+": "+skid)
		}
	}
	if event == allEvents || r.events[event].IsAlloc() || r.events[event].IsHeap() {
		comments = append(comments, r.allocs.comments()...)
	}
	return comments
}

// noSamples says what the events hit instead of targets.
func (r *recording) noSamples(duration time.Duration, counters []loader.Counters) error {
	var names []string
	var filtered, idle uint64
	for i, c := range counters {
		names = append(names, r.events[i].Name)
		filtered += c.Filtered
		idle += c.Idle
	}
	why := "the targets used no CPU"
	if len(r.events) == 1 && r.allocs != nil {
		return fmt.Errorf("no samples in %s: %s", duration.Round(time.Millisecond), r.allocs.silence())
	}
	if len(r.events) == 1 && r.events[0].IsOffCPU() {
		return fmt.Errorf("no samples in %s: no target's thread waited", duration.Round(time.Millisecond))
	}
	if len(r.events) > 1 || !r.events[0].IsTime() {
		why = "the targets had no event of " + strings.Join(names, ", ")
	}
	return fmt.Errorf("no samples in %s: %s (%d events hit other processes, %d an idle CPU)",
		duration.Round(time.Millisecond), why, filtered, idle)
}

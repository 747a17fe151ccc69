package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/agent"
	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/metrics"
)

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}

// progress is one line on a terminal that tells how far a recording is.
type progress struct {
	w     io.Writer
	off   bool
	total time.Duration // 0: open
	last  time.Time
	shown bool
}

func newProgress(w io.Writer, off bool, total time.Duration) *progress {
	return &progress{w: w, off: off, total: total}
}

const progressInterval = 200 * time.Millisecond

func (p *progress) show(elapsed time.Duration, samples uint64) {
	if p.off || time.Since(p.last) < progressInterval {
		return
	}
	p.last, p.shown = time.Now(), true
	of := ""
	if p.total > 0 {
		of = fmt.Sprintf(" of %s", p.total)
	}
	fmt.Fprintf(p.w, "\r\x1b[Krecording: %s%s, %d samples (Ctrl-C ends and writes)", elapsed.Round(100*time.Millisecond), of, samples)
}

func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

func percent(part, whole uint64) float64 {
	if whole == 0 {
		return 0
	}
	return 100 * float64(part) / float64(whole)
}

// report prints what was written and, last, how true it is.
func (r *recording) report(s agent.Summary, counters []loader.Counters) {
	r.reportOutputs()
	if n := counters[0].TargetsFull; n > 0 { // is of no event, and counted with the first
		fmt.Fprintf(os.Stderr, "warning: %d child processes were not followed: too many targets at once\n", n)
	}
	if len(r.events) > 1 {
		for i, e := range r.events {
			n := s.Events[e.Name]
			fmt.Fprintf(os.Stderr, "%s: %d samples, %d lost%s\n", e.Name, n.Samples, n.LostTotal(), r.worth(i))
		}
	}
	for _, e := range r.events {
		if o := s.Events[e.Name].OffCPU; o != nil {
			fmt.Fprintln(os.Stderr, offCPULine(o))
		}
	}
	if s.Heap != nil && (r.live == nil || s.Heap.Processes > 0) {
		reportHeap(s.Heap)
	}
	r.live.report()
	for _, line := range r.allocs.comments() {
		fmt.Fprintln(os.Stderr, line)
	}
	e := s.Total()
	cost := s.Overhead.KernelSeconds + s.Overhead.UserSeconds
	busy := s.DurationSeconds * float64(max(s.CPUs, 1))
	fmt.Fprintf(os.Stderr, "%d samples, %d lost, %.1f%% of stacks complete, %.1f%% of frames symbolized, overhead %.2f s = %.2f%% of the machine\n",
		e.Samples, e.LostTotal(), percent(e.Stacks["complete"], e.Samples), percent(e.Frames.Symbolized, e.Frames.Total),
		cost, 100*cost/busy)
}

// reportOutputs prints what was written and sent.
func (r *recording) reportOutputs() {
	for _, o := range r.outputs {
		if o.written && o.path != "-" {
			fmt.Fprintf(os.Stderr, "wrote %s%s\n", o.path, o.hint())
		}
	}
	if r.push != nil {
		if s := r.push.exporter.Status(); s.Pushed > 0 {
			fmt.Fprintf(os.Stderr, "pushed %d profiles to %s\n", s.Pushed, s.URL)
		}
	}
}

// offCPULine tells the exact times.
func offCPULine(o *agent.OffCPUSummary) string {
	var states []string
	for name, s := range o.States {
		if s.ExactSeconds > 0 {
			states = append(states, fmt.Sprintf("%s %.2f s", name, s.ExactSeconds))
		}
	}
	line := fmt.Sprintf("off-cpu: %.2f s of %d threads, exactly", o.ExactSeconds, o.Threads)
	if len(states) > 0 {
		line += ": " + strings.Join(sorted(states), ", ")
	}
	if o.Coverage != nil {
		line += fmt.Sprintf("; sampled stacks alone say %.1f%% of it", 100**o.Coverage)
	}
	if w := o.Wakers; w != nil {
		line += fmt.Sprintf("; wakers of %d of %d waits", w.Found, w.Found+w.Missing)
	}
	return line
}

// worth says what an event's samples stand for, where that is not their number.
func (r *recording) worth(event int) string {
	e := r.events[event]
	switch {
	case e.IsTime():
		return fmt.Sprintf(", each 1/%d s of a CPU", e.Frequency)
	case e.IsOffCPU():
		return fmt.Sprintf(", for about %s of waiting each, weighted by what they stand for", time.Duration(e.Period))
	case e.IsAlloc() || e.IsHeap():
		return fmt.Sprintf(", one for about %d bytes, weighted by what they stand for", e.Period)
	case e.Period > 1:
		return fmt.Sprintf(", each %d events", e.Period)
	case e.Period == 0:
		return ", weighted by the events that they stand for"
	}
	return ""
}

// writeSummary writes the files of --summary and --metrics.
func (r *recording) writeSummary(s agent.Summary) error {
	var failed error
	if r.summary != "" {
		failed = writeFile(r.summary, r.owner, func(w io.Writer) error {
			enc := json.NewEncoder(w)
			enc.SetIndent("", "  ")
			return enc.Encode(s)
		})
	}
	if r.metrics != "" {
		failed = errors.Join(failed, writeFile(r.metrics, r.owner, func(w io.Writer) error {
			return metrics.WriteText(w, snapshot(s))
		}))
	}
	return failed
}

// snapshot is the summary as metrics.
func snapshot(s agent.Summary) metrics.Snapshot {
	m := metrics.Snapshot{Version: readVersion().Version}
	for kind, e := range s.Events {
		kind = strings.ReplaceAll(kind, "-", "_")
		m.Add(metrics.SamplesTotal, float64(e.Samples), kind, "delivered")
		m.Add(metrics.SamplesTotal, float64(e.LostTotal()), kind, "lost")
		for reason, n := range e.Lost {
			m.Add(metrics.SamplesLostTotal, float64(n), kind, reason)
		}
		for reason, n := range e.Stacks {
			m.Add(metrics.StacksTotal, float64(n), kind, reason)
		}
		m.Add(metrics.FramesTotal, float64(e.Frames.Symbolized), kind, "true")
		m.Add(metrics.FramesTotal, float64(e.Frames.Total-e.Frames.Symbolized), kind, "false")
	}
	m.Add(metrics.OverheadCPUSecondsTotal, s.Overhead.KernelSeconds, "kernel")
	m.Add(metrics.OverheadCPUSecondsTotal, s.Overhead.UserSeconds, "user")
	m.Add(metrics.MemoryBytes, float64(s.Overhead.RSSBytes), "resident")
	m.Add(metrics.MemoryBytes, float64(s.Overhead.KernelBytes), "kernel_maps")
	return m
}

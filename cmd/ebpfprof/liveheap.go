package main

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/agent"
	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/render"
)

// liveHeap is the side of -e heap that follows programs which are not Go's, by probes on their allocators. A nil one does
// nothing.
type liveHeap struct {
	event    int // its number
	recorder *agent.HeapRecorder
	result   agent.HeapReport
}

// takeHeap takes the heap out of the events' names; heap is nil if it is not among them.
func takeHeap(names []string) (others []string, heap *loader.Event, err error) {
	for _, name := range names {
		e, ok, err := loader.ParseHeapEvent(name)
		switch {
		case !ok:
			others = append(others, name)
		case err != nil:
			return nil, nil, usageError("-e %s: %w", name, err)
		case heap != nil:
			return nil, nil, usageError("event %s is asked for twice", heapEvent)
		default:
			heap = &e
		}
	}
	return others, heap, nil
}

// wantsLiveHeap reports whether probes are to be put: on named processes, or a command, unless all of these are Go programs,
// of which the heap is read without any.
func (r *recording) wantsLiveHeap() bool {
	if r.targets.Child {
		path, err := exec.LookPath(r.command[0])
		return err != nil || !isGo(path)
	}
	return slices.ContainsFunc(r.targets.PIDs, func(pid int) bool { return !isGo(fmt.Sprintf("/proc/%d/exe", pid)) })
}

func isGo(path string) bool {
	_, err := buildinfo.ReadFile(path)
	return err == nil
}

// planHistory checks the flags of what only a live heap has.
func (f *recordFlags) planHistory(r *recording) error {
	r.timeline, r.analysis = f.timeline, f.analysis
	if (f.timeline != "" || f.analysis != "") && r.live == nil {
		return usageError("--timeline and --analysis: want -e %s, of processes (-p) or a command that are not Go programs only", heapEvent)
	}
	if slices.ContainsFunc(r.events, loader.Event.IsAlloc) && r.live != nil {
		return usageError("events alloc and %s: want one of them: %s has what is allocated too", heapEvent, heapEvent)
	}
	return nil
}

// withoutLive goes on without probes when heaps are all that is asked for: Go programs need none.
func (r *recording) withoutLive(ctx context.Context, why error) error {
	if r.live == nil || len(r.events) > 1 || r.timeline != "" || r.analysis != "" {
		return &exitError{exitUnsupported, why}
	}
	fmt.Fprintf(os.Stderr, "ebpfprof: of programs that are not Go's there is no heap: %v\n", why)
	r.live, r.events, r.unprobed = nil, nil, why
	return r.runHeap(ctx)
}

// follow begins to take samples. What it needs of r is open.
func (l *liveHeap) follow(r *recording) {
	if l != nil {
		l.recorder = agent.NewHeapRecorder(r.recorder, r.sampler, l.event, func(s *loader.Sample) bool { return !r.allocs.Sample(s) })
	}
}

// begin is called when probes are about to be put.
func (l *liveHeap) begin() {
	if l != nil {
		l.recorder.Begin()
	}
}

// isHeap reports whether an output is of the heap.
func (r *recording) isHeap(o *output) bool {
	switch {
	case r.heap == nil:
		return false
	case r.live == nil:
		return o.event == len(r.events)
	}
	return o.event == r.live.event || o.event == allEvents && len(r.events) == 1
}

// endLive joins the heap that was followed with those that were read.
func (r *recording) endLive(duration time.Duration, counters []loader.Counters, read *heapResult) error {
	l := r.live
	if l == nil {
		return nil
	}
	untold, err := l.recorder.Settle()
	if err != nil {
		return err
	}
	l.result = l.recorder.Report(duration, untold, r.comments(counters, l.event))
	c := &counters[l.event]
	if n := l.result.Summary.UnlistedSites; n > 0 {
		c.Samples -= n
		c.Lost["sites_full"] = n
	}
	merged := l.result.Profile
	if read.summary != nil && read.summary.Processes > 0 {
		// What is no Go program is in the other profile.
		read.profile.Comments = slices.DeleteFunc(read.profile.Comments, func(c string) bool { return strings.HasPrefix(c, "no heap of") })
		if merged, err = pprof.Merge([]*pprof.Profile{merged, read.profile}); err != nil {
			return fmt.Errorf("join heaps: %w", err)
		}
		merged.DefaultSampleType = l.result.Profile.DefaultSampleType
	}
	if read.summary != nil {
		read.summary.Without, read.summary.WithoutTotal = nil, 0
	}
	read.profile = merged
	return nil
}

// writeHistory writes the files that show the heap over time.
func (r *recording) writeHistory() error {
	if r.live == nil {
		return nil
	}
	var failed error
	for path, write := range map[string]func(io.Writer) error{
		r.timeline: func(w io.Writer) error { return render.WriteHeapTimeline(w, r.live.result.History) },
		r.analysis: func(w io.Writer) error { return render.WriteHeapAnalysis(w, r.live.result.History) },
	} {
		if path != "" {
			failed = errors.Join(failed, writeFile(path, r.owner, write))
		}
	}
	return failed
}

// enter adds to the summary of the event.
func (l *liveHeap) enter(s *agent.EventSummary, e loader.Event) {
	if l != nil && e.IsHeap() {
		s.LiveHeap = &l.result.Summary
	}
}

// replace puts how whole the heap's stacks are in its place.
func (l *liveHeap) replace(stacks []agent.Stacks) {
	if l != nil {
		stacks[l.event] = l.result.Stacks
	}
}

// report prints what was found, in a few lines.
func (l *liveHeap) report() {
	if l == nil {
		return
	}
	s, mib := l.result.Summary, func(n int64) float64 { return float64(n) / (1 << 20) }
	fmt.Fprintf(os.Stderr, "heap: of %d processes, %.1f MiB allocated, %.1f MiB in use at the end, peak %.1f MiB at %.2f s\n",
		s.Processes, mib(s.AllocBytes), mib(s.InuseBytes), mib(s.PeakBytes), s.PeakSeconds)
	const told = 5
	for i, leak := range l.result.History.Leaks {
		if i == told {
			fmt.Fprintf(os.Stderr, "%d more sites leak; --analysis and the profile's comments name them\n", len(l.result.History.Leaks)-told)
			break
		}
		fmt.Fprintln(os.Stderr, "leak: "+leak.Text(l.result.History))
	}
}

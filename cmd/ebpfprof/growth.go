package main

import (
	"fmt"
	"os"

	"github.com/ebpfprof/ebpfprof/pkg/agent"
	"github.com/ebpfprof/ebpfprof/pkg/loader"
)

// isFaults tells whether an event counts every page fault.
func isFaults(e loader.Event) bool { return e.Name == "page-faults" }

// footing is what the targets have in RAM now; nil if it is not asked for, or cannot be told.
func (r *recording) footing() agent.Footing {
	for _, e := range r.events {
		if !isFaults(e) {
			continue
		}
		child := 0
		if r.child != nil {
			child = r.child.pid()
		}
		if f, err := agent.MeasureFooting(r.fs, r.targets, child); err == nil {
			return f
		}
	}
	return nil
}

// growth compares the faults of an event with what the targets' memory did; nil if that is not known.
func (r *recording) growth(event int, faults int64) *agent.GrowthSummary {
	if !isFaults(r.events[event]) || r.before == nil || r.after == nil {
		return nil
	}
	return agent.Growth(r.before, r.after, faults)
}

// reportGrowth prints how much of the targets' growth the faults explain.
func reportGrowth(s agent.Summary) {
	for _, e := range s.Events {
		if e.Growth != nil {
			fmt.Fprintln(os.Stderr, e.Growth)
		}
	}
}

package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/agent"
	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/preload"
)

// planPreload checks that there is something for the helper to do. Nothing has happened yet.
func (r *recording) planPreload() error {
	if !slices.ContainsFunc(r.events, loader.Event.IsAlloc) || !r.targets.Child {
		return usageError("--preload: want -e alloc, and a command after -- as the only target: a library cannot be put into programs that run")
	}
	r.preload = true
	path, err := exec.LookPath(r.command[0])
	if err != nil {
		return nil // the start tells
	}
	if why := preload.Refuses(path); why != "" {
		return &exitError{exitUnsupported, fmt.Errorf("--preload: %s: %s; without --preload its allocators are probed", path, why)}
	}
	return nil
}

// helperDirs are where the helper may be put, best first. A folder of ours for temporary files may be closed to another user.
func (r *recording) helperDirs() []string {
	dirs := []string{"/tmp", "/dev/shm", "/var/tmp"}
	if r.runAs == nil {
		dirs = append([]string{os.TempDir()}, dirs...)
	}
	return dirs
}

// openHelper writes the helper, if it is asked for.
func (r *recording) openHelper() error {
	if !r.preload {
		return nil
	}
	at := slices.IndexFunc(r.events, loader.Event.IsAlloc)
	var err error
	r.helper, err = preload.Write(r.helperDirs(), preload.Options{Mean: r.events[at].Period})
	return err
}

func (r *recording) closeHelper() {
	if r.helper != nil {
		r.helper.Close()
	}
}

// preloaded is the side that samples by the helper, if it is that.
func (a *allocating) preloaded() (*agent.Preloaded, bool) {
	if a == nil {
		return nil, false
	}
	p, ok := a.allocSampler.(helping)
	return p.Preloaded, ok
}

// helping samples by the helper.
type helping struct{ *agent.Preloaded }

// Recorded says what the values are of.
func (h helping) Recorded(period int64, _ time.Time) []string {
	return preloadComments(h.Summary(period, 0))
}

// environ is the command's.
func (r *recording) environ() []string {
	if r.helper == nil {
		return r.runAs.environment()
	}
	return r.helper.Environ(r.runAs.environment())
}

// preloadComments say what the values are of.
func preloadComments(s *agent.AllocSummary) []string {
	p := s.Preload
	out := []string{fmt.Sprintf("alloc: sampled within %d processes by a library in them, for %.2f s; %d samples cost them about %.3f s, "+
		"beside some nanoseconds for each call; a sample for each %d bytes on average, weighted by 1/(1-exp(-size/%d))",
		p.Processes, s.AttachedSeconds, s.Hits, s.CostSeconds, s.PeriodBytes, s.PeriodBytes)}
	if p.Own > 0 {
		out = append(out, fmt.Sprintf("alloc: %d processes have a sampler of their own (otel_memory), whose weights were taken instead", p.Own))
	}
	if p.Failure != "" {
		out = append(out, "alloc: "+p.Failure)
	}
	return append(out, uncoveredLines(p)...)
}

// preloadSilence says why there are no samples.
func preloadSilence(s *agent.AllocSummary) string {
	var why []string
	for _, n := range s.Preload.NotCovered {
		why = append(why, fmt.Sprintf("process %d (%s): %s", n.PID, n.Comm, n.Reason))
	}
	if len(why) > 0 {
		return strings.Join(why, "; ")
	}
	return fmt.Sprintf("allocations of too few bytes for the period of %d, or not by malloc's family", s.PeriodBytes)
}

// uncoveredLines tell of what was not sampled.
func uncoveredLines(p *agent.PreloadSummary) (lines []string) {
	for _, n := range p.NotCovered[:min(len(p.NotCovered), maxTold)] {
		lines = append(lines, fmt.Sprintf("alloc: process %d (%s) is not covered: %s", n.PID, n.Comm, n.Reason))
	}
	if more := len(p.NotCovered) - maxTold; more > 0 {
		lines = append(lines, fmt.Sprintf("alloc: %d more processes are not covered, see --summary", more))
	}
	return lines
}

const maxTold = 5

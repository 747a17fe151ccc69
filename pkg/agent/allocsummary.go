package agent

import (
	"cmp"
	"slices"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/allocator"
	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// AllocSummary says how allocations were sampled, beside what the samples stand for.
type AllocSummary struct {
	PeriodBytes int64   `json:"period_bytes"`
	Objects     int64   `json:"objects"` // that the samples stand for
	Nested      uint64  `json:"nested"`  // samples left out: calls from within an allocator
	Hits        uint64  `json:"hits"`    // of probes
	Stepped     uint64  `json:"stepped"` // of these, on instructions that the kernel does not emulate
	Budget      float64 `json:"budget"`  // share of the CPU time of the targets; 0: no limit
	// What the hits are taken to have cost the targets, by a calibration on this machine.
	CostSeconds      float64 `json:"cost_seconds"`
	EmulatedSeconds  float64 `json:"emulated_hit_seconds"`
	SteppedSeconds   float64 `json:"stepped_hit_seconds"`
	AttachedSeconds  float64 `json:"attached_seconds"` // probes were in place
	Windows          int     `json:"windows"`
	AttachmentFailed int     `json:"attachments_failed"`
	// Allocators are the files that were probed.
	Allocators []AllocatorSummary `json:"allocators"`
	Preload    *PreloadSummary    `json:"preload,omitempty"` // with a helper in the processes
}

// AllocatorSummary is of one file.
type AllocatorSummary struct {
	File      string                  `json:"file"`
	Family    string                  `json:"family"`
	Functions []AllocatorFunctionSite `json:"functions"`
}

// AllocatorFunctionSite is where a function was probed.
type AllocatorFunctionSite struct {
	Name   string `json:"name"`
	Offset int    `json:"offset"` // from its entry
	Class  string `json:"class"`
	Reason string `json:"reason,omitempty"` // why no cheaper instruction
}

// Summary is of all accounts since Start; objects is what the samples of the kind stand for. Run must have returned.
func (a *Allocations) Summary(period, objects int64) *AllocSummary {
	s := &AllocSummary{
		PeriodBytes: period, Objects: objects, Nested: a.NestedSamples(), Budget: a.options.Budget,
		EmulatedSeconds: a.cost.Emulated.Seconds(), SteppedSeconds: a.cost.Stepped.Seconds(),
		AttachmentFailed: a.Stats().Failures, Allocators: []AllocatorSummary{},
	}
	var h loader.AllocHits
	for _, c := range a.accounts {
		s.CostSeconds += round(c.governor.estimate(c.lastHits).Seconds())
		s.AttachedSeconds += round(c.governor.attachedTime(time.Now()).Seconds())
		s.Windows += c.governor.windows
		h.Emulated += c.lastHits.Emulated
		h.Stepped += c.lastHits.Stepped
	}
	s.Hits, s.Stepped = h.Total(), h.Stepped
	for _, l := range a.byInode {
		if l.file != nil {
			s.Allocators = append(s.Allocators, l.summary(a.options.Frees))
		}
	}
	slices.SortFunc(s.Allocators, func(x, y AllocatorSummary) int { return cmp.Compare(x.File, y.File) })
	return s
}

// Recorded says of a recording of one account what its values are of. Run must have returned.
func (a *Allocations) Recorded(period int64, until time.Time) []string {
	s := a.Summary(period, 0)
	c := profile.Coverage{
		Probed: min(inSeconds(s.AttachedSeconds), until.Sub(a.begun)), Of: until.Sub(a.begun), Windows: int64(s.Windows), Hits: int64(s.Hits),
		Cost: inSeconds(s.CostSeconds),
	}
	return []string{a.method(period), c.Comment()}
}

func inSeconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func (l *library) summary(frees bool) AllocatorSummary {
	s := AllocatorSummary{File: l.name, Family: l.found.Family}
	for _, f := range l.found.Functions {
		if f.Size != allocator.NoSize || frees {
			s.Functions = append(s.Functions, AllocatorFunctionSite{f.Name, f.Site.Offset, f.Site.Class.String(), f.Site.Reason})
		}
	}
	return s
}

package agent

import (
	"cmp"
	"slices"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/allocator"
	"github.com/ebpfprof/ebpfprof/pkg/loader"
)

// hits are those of targets so far.
func (a *Allocations) hits() (loader.AllocHits, error) {
	h, err := a.kernel.AllocHits()
	if err != nil {
		return h, err
	}
	return h.Since(a.base), nil
}

// govern puts probes or takes them away, as the budget says.
func (a *Allocations) govern(now time.Time) {
	h, err := a.hits()
	a.mu.Lock()
	defer a.mu.Unlock()
	// What cannot be counted cannot be kept within a budget.
	allowed := err == nil && a.governor.decide(now, h)
	if allowed == a.attached {
		return
	}
	if !allowed {
		a.detach()
		a.governor.close(time.Now()) // probes fire until the last is gone
		return
	}
	a.attached = true
	a.governor.open(now)
	for pid, p := range a.processes {
		for _, l := range p.libraries {
			a.probe(pid, p, l)
		}
	}
}

// detach takes all probes away. mu is held.
func (a *Allocations) detach() {
	a.attached = false
	for _, p := range a.processes {
		a.release(p)
	}
}

func (a *Allocations) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.detach()
	a.governor.close(time.Now())
}

// AllocSummary says how allocations were sampled, beside what the samples stand for.
type AllocSummary struct {
	PeriodBytes int64   `json:"period_bytes"`
	Objects     int64   `json:"objects"` // that the samples stand for
	Nested      uint64  `json:"nested"`  // samples left out: calls from within an allocator
	Hits        uint64  `json:"hits"`    // of probes
	Stepped     uint64  `json:"stepped"` // of these, on instructions that the kernel does not emulate
	Budget      float64 `json:"budget"`  // share of one CPU; 0: no limit
	// What the hits are taken to have cost the targets, by a calibration on this machine.
	CostSeconds      float64 `json:"cost_seconds"`
	EmulatedSeconds  float64 `json:"emulated_hit_seconds"`
	SteppedSeconds   float64 `json:"stepped_hit_seconds"`
	AttachedSeconds  float64 `json:"attached_seconds"` // probes were in place
	Windows          int     `json:"windows"`
	AttachmentFailed int     `json:"attachments_failed"`
	// Allocators are the files that were probed.
	Allocators []AllocatorSummary `json:"allocators"`
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

// Summary is of the time since Start; objects is what the samples of the kind stand for. Run must have returned.
func (a *Allocations) Summary(period, objects int64) (*AllocSummary, error) {
	h, err := a.hits()
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	g := &a.governor
	s := &AllocSummary{
		PeriodBytes: period, Objects: objects, Nested: a.nested, Hits: h.Total(), Stepped: h.Stepped, Budget: g.budget,
		CostSeconds: round(g.estimate(h).Seconds()), EmulatedSeconds: g.cost.Emulated.Seconds(), SteppedSeconds: g.cost.Stepped.Seconds(),
		AttachedSeconds: round(g.attachedTime(time.Now()).Seconds()), Windows: g.windows, AttachmentFailed: a.failures,
		Allocators: []AllocatorSummary{},
	}
	for _, l := range a.byInode {
		if l.file != nil {
			s.Allocators = append(s.Allocators, l.summary())
		}
	}
	slices.SortFunc(s.Allocators, func(x, y AllocatorSummary) int { return cmp.Compare(x.File, y.File) })
	return s, nil
}

func (l *library) summary() AllocatorSummary {
	s := AllocatorSummary{File: l.name, Family: l.found.Family}
	for _, f := range l.found.Functions {
		if f.Size != allocator.NoSize {
			s.Functions = append(s.Functions, AllocatorFunctionSite{f.Name, f.Site.Offset, f.Site.Class.String(), f.Site.Reason})
		}
	}
	return s
}

package agent

import (
	"cmp"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/probesite"
)

// PreloadSummary says which processes a helper sampled.
type PreloadSummary struct {
	Processes int `json:"processes"` // that the helper sampled
	// NotCovered are those that were seen without, or with something that it does not sample; the first 100.
	NotCovered []Uncovered `json:"not_covered"`
	// Own is how many processes have a sampler of their own, which was taken instead.
	Own      int    `json:"own_sampler"`
	Replaced uint64 `json:"samples_replaced"` // of the helper in such processes
	Failure  string `json:"failure,omitempty"`
}

// maxUncovered bounds what a summary lists.
const maxUncovered = 100

// Summary is of the time since Start; objects is what the samples of the kind stand for. Run must have returned.
func (p *Preloaded) Summary(period, objects int64) *AllocSummary {
	h, err := p.kernel.AllocHits(0)
	if err == nil {
		h = h.Since(p.base)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	ended := p.ended
	if ended.IsZero() {
		ended = time.Now()
	}
	s := &AllocSummary{
		PeriodBytes: period, Objects: objects, Hits: h.Total(), Stepped: h.Stepped,
		CostSeconds: round(p.estimate(h).Seconds()), EmulatedSeconds: p.cost.Emulated.Seconds(), SteppedSeconds: p.cost.Stepped.Seconds(),
		AttachedSeconds: round(ended.Sub(p.begin).Seconds()), Windows: 1,
		Allocators: []AllocatorSummary{{File: p.helper.path, Family: "preload", Functions: p.helper.sites()}},
		Preload:    &PreloadSummary{Processes: len(p.sampled), Own: p.owners, Replaced: p.replaced},
	}
	all := p.uncovered()
	s.Preload.NotCovered = append([]Uncovered{}, all[:min(len(all), maxUncovered)]...)
	if err = cmp.Or(p.failure, err); err != nil {
		s.Preload.Failure = err.Error()
	}
	return s
}

// estimate is what hits and samples have cost.
func (p *Preloaded) estimate(h loader.AllocHits) time.Duration {
	return time.Duration(h.Emulated)*p.cost.Emulated + time.Duration(h.Stepped)*p.cost.Stepped + h.Walks
}

// sites are where the helper is probed.
func (h helperFile) sites() (sites []AllocatorFunctionSite) {
	for _, p := range h.probes {
		class := probesite.Emulated
		if p.Stepped {
			class = probesite.Stepped
		}
		sites = append(sites, AllocatorFunctionSite{Name: memoryProvider + ":" + allocProbe, Class: class.String()})
	}
	return sites
}

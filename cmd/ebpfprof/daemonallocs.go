package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/agent"
	"github.com/ebpfprof/ebpfprof/pkg/config"
	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/metrics"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// allocations sample what services allocate. A nil one does nothing.
type allocations struct {
	*agent.Allocations
	event  int
	kind   string
	totals metrics.EventTotals
}

// allocAccounts bounds the services that are probed at one time; each has some 50 bytes for each CPU in the kernel.
const allocAccounts = 128

// openAllocations prepares for the event alloc, if it is among those that are sampled.
func (d *daemon) openAllocations(c config.Config, kinds []agent.Kind, events []loader.Event, targets agent.Targets) error {
	at := slices.IndexFunc(events, loader.Event.IsAlloc)
	if at < 0 {
		return nil
	}
	wanted, err := allocServices(c.Memory.AllocServices)
	if err != nil {
		return err
	}
	a, err := agent.NewAllocations(agent.AllocOptions{
		FS: d.fs, Kernel: d.sampler, Budget: float64(c.Memory.AllocBudget) / 100,
		Processes: func() ([]int, error) { return targets.Processes(d.fs) },
		Identify:  d.services.identity, Wanted: wanted, Accounts: allocAccounts,
		// A window is named after it ends, one after the other.
		Keep: 3*time.Duration(c.Sampling.Window) + stopTime,
	})
	if err != nil {
		return err
	}
	d.allocs = &allocations{Allocations: a, event: at, kind: kinds[at].Name()}
	period := kinds[at].Period
	kinds[at].Comments = func(s profile.Series, from, to time.Time) []string { return a.Comments(period, s, from, to) }
	d.log.Info("allocations are sampled", "a hit costs", a.HitCost().String())
	return nil
}

// allocServices compiles memory.alloc_services; nil: all.
func allocServices(expressions []string) (func(string) bool, error) {
	if len(expressions) == 0 {
		return nil, nil
	}
	re, err := regexp.Compile("(?:" + strings.Join(expressions, ")|(?:") + ")")
	if err != nil {
		return nil, fmt.Errorf("memory.alloc_services: %w", err)
	}
	return re.MatchString, nil
}

// run probes from when the sampler is read until ctx ends.
func (a *allocations) run(ctx context.Context, started <-chan struct{}) {
	if a == nil {
		return
	}
	select {
	case <-started:
		a.Run(ctx.Done())
	case <-ctx.Done():
	}
}

// handler takes the samples before the collector: calls from within an allocator are left out.
func (a *allocations) handler(h loader.Handler) loader.Handler {
	if a == nil {
		return h
	}
	return ownSamples{h, probing{a.Allocations}, a.event}
}

// count adds an interval to the totals of services, and what was covered since the last.
func (a *allocations) count(i *profile.Interval) {
	if a == nil || i.Kind != a.kind {
		return
	}
	window := map[string]map[string]float64{}
	of := func(service string) map[string]float64 {
		if window[service] == nil {
			window[service] = map[string]float64{}
		}
		return window[service]
	}
	for service, c := range a.News() {
		n := of(service)
		n[metrics.AllocBytes], n[metrics.AllocObjects] = 0, 0
		n[metrics.AllocProbedSeconds], n[metrics.AllocSeconds] = c.Probed.Seconds(), c.Of.Seconds()
		n[metrics.AllocHits], n[metrics.AllocCostSeconds] = float64(c.Hits), c.Cost.Seconds()
	}
	for _, w := range i.Windows {
		n := of(w.Service)
		for _, s := range w.Profile.Sample { // samples, objects, bytes
			n[metrics.AllocObjects] += float64(s.Value[1])
			n[metrics.AllocBytes] += float64(s.Value[2])
		}
	}
	a.totals.Add(time.Now(), window)
}

// addTo enters what is known of allocations in a snapshot.
func (a *allocations) addTo(m *metrics.Snapshot) {
	if a == nil {
		return
	}
	a.totals.AddTo(m, "")
	cost, s := a.HitCost(), a.Stats()
	m.Add(metrics.AllocHitSeconds, cost.Emulated.Seconds(), "emulated")
	m.Add(metrics.AllocHitSeconds, cost.Stepped.Seconds(), "single_stepped")
	for state, n := range map[string]int{"probed": s.Probed, "no_allocator": s.NoAllocator, "no_room": s.NoRoom} {
		m.Add(metrics.AllocProcesses, float64(n), state)
	}
	m.Add(metrics.SamplesFilteredTotal, float64(a.NestedSamples()), a.kind, "nested")
}

func (a *allocations) close() {
	if a != nil {
		a.Close()
	}
}

package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/agent"
	"github.com/ebpfprof/ebpfprof/pkg/config"
	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/loader/perfevent"
	"github.com/ebpfprof/ebpfprof/pkg/metrics"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
	"github.com/ebpfprof/ebpfprof/pkg/server"
)

// counters count perf events by service for as long as the daemon runs. A nil one counts nothing.
type counters struct {
	log      *slog.Logger
	events   []perfevent.Event
	asked    []perfevent.Event
	cannot   map[int]*perfevent.UnsupportedError // by index in asked
	programs *loader.Counting                    // nil: nothing can be counted
	services *agent.ServiceCounts
	window   time.Duration
	level    string
	bytes    uint64 // that the programs hold in the kernel
	totals   metrics.EventTotals

	// Of services, counts that are not in the totals yet: of the window so far, and of windows in which an event never
	// was on the PMU while the service ran. Of the goroutine that runs.
	pending map[string][]perfevent.Count

	mu     sync.Mutex // guards what follows
	ratios map[string]float64
	full   uint64
	runNs  uint64
	relook bool
}

// openCounters finds out what can be counted and loads the programs, if anything can. A machine that cannot count is
// none that fails: the log and /metrics say so.
func openCounters(c config.Config, fs proc.FS, filter loader.Filter, identify agent.Identifier, log *slog.Logger) (*counters, error) {
	n := &counters{
		log: log, services: agent.NewServiceCounts(identify), window: time.Duration(c.Sampling.Window),
		level: perfevent.CacheLevel(), pending: map[string][]perfevent.Count{}, ratios: map[string]float64{},
	}
	var err error
	if n.asked, err = lookupEvents(c.Counters.Events); err != nil {
		return nil, err
	}
	n.events, n.cannot = loader.Supported(n.asked)
	if len(n.cannot) > 0 {
		log.Warn("events that are not counted by service", "why", (&counting{asked: n.asked, cannot: n.cannot}).reasons())
	}
	if len(n.events) == 0 {
		return n, nil
	}
	inode, _, err := fs.PIDNamespace()
	if err != nil {
		return nil, err
	}
	if filter.Kind == loader.FilterComm {
		log.Warn("events are not counted by service: sampling.targets.comm names threads, which are not counted one by one")
		return n, nil
	}
	n.programs, err = loader.OpenCounting(loader.CountingOptions{
		Events: n.events, Filter: filter, Namespace: inode, Rows: daemonCountRows,
	})
	if err != nil {
		return nil, fmt.Errorf("count events by service: %w", err)
	}
	n.bytes = n.programs.KernelBytes()
	return n, nil
}

// status is what is counted, and each reason that something is not; nil when nothing was asked for.
func (n *counters) status() *server.CountingStatus {
	if n == nil {
		return nil
	}
	s := &server.CountingStatus{}
	if n.programs != nil {
		for _, e := range n.events {
			s.Events = append(s.Events, e.Name)
		}
	}
	for i, e := range n.asked {
		u := n.cannot[i]
		if u == nil {
			continue
		}
		at := slices.IndexFunc(s.Cannot, func(p server.CountingProblem) bool { return p.Problem == u.Reason })
		if at < 0 {
			at = len(s.Cannot)
			s.Cannot = append(s.Cannot, server.CountingProblem{Problem: u.Reason})
		}
		s.Cannot[at].Events = append(s.Cannot[at].Events, e.Name)
	}
	return s
}

// countInterval is how often counts are read: often enough that most processes can still be asked whose they are, and
// that those that have gone do not fill the room for rows.
const countInterval = time.Second

// daemonCountRows is room for the processes that run at once, and those that end in a second.
const daemonCountRows = 4096

// run counts until ctx ends. If counting fails, profiling goes on.
func (n *counters) run(ctx context.Context) {
	if n == nil || n.programs == nil {
		return
	}
	if err := n.count(ctx); err != nil {
		n.log.Error("events are not counted by service any more", "error", err)
	}
}

func (n *counters) count(ctx context.Context) error {
	if err := n.programs.Start(); err != nil {
		return err
	}
	tick := time.NewTicker(min(countInterval, n.window))
	defer tick.Stop()
	next := time.Now().Add(n.window)
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			if err := n.read(); err != nil {
				return err
			}
			if now.Before(next) {
				continue
			}
			n.publish(now)
			next = now.Add(n.window)
		}
	}
}

func (n *counters) read() error {
	counted, err := n.programs.Read()
	if err != nil {
		return err
	}
	n.mu.Lock()
	n.full += counted.Full
	n.runNs += counted.RunNs
	relook := n.relook
	n.relook = false
	n.mu.Unlock()
	if relook {
		n.services.Forget()
	}
	for service, set := range n.services.Sum(counted) {
		n.pending[service] = addCounts(n.pending[service], set.Counts)
	}
	return nil
}

// publish moves what is known into the totals.
func (n *counters) publish(now time.Time) {
	window := map[string]map[string]float64{}
	whole := make([]perfevent.Count, len(n.events))
	for service, counts := range n.pending {
		known := map[string]float64{}
		waits := false
		for i := range counts {
			whole[i] = whole[i].Add(counts[i])
			v, ok := counts[i].Scaled()
			if !ok {
				waits = true // for a window with a counter
				continue
			}
			known[n.events[i].Name] = v
			counts[i] = perfevent.Count{}
		}
		window[service] = known
		if !waits {
			delete(n.pending, service)
		}
	}
	n.totals.Add(now, window)
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, e := range n.events {
		n.ratios[e.Name] = whole[i].Ratio()
	}
}

// forget makes the services be asked for anew: a reload has changed the rules.
func (n *counters) forget() {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.relook = true
}

// addTo enters everything that was counted in a snapshot.
func (n *counters) addTo(m *metrics.Snapshot) {
	if n == nil {
		return
	}
	for i, e := range n.asked {
		supported := 1.0
		if n.cannot[i] != nil {
			supported = 0
		}
		m.Add(metrics.PerfEventSupported, supported, e.Name)
	}
	if n.programs == nil {
		return
	}
	n.totals.AddTo(m, n.level)
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(n.ratios)) {
		m.Add(metrics.PerfEventRunningRatio, n.ratios[name], name)
	}
	m.Add(metrics.CountsOtherTotal, float64(n.full))
}

// cost is what the programs took and hold: seconds, and bytes in the kernel.
func (n *counters) cost() (seconds float64, bytes uint64) {
	if n == nil || n.programs == nil {
		return 0, 0
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return float64(n.runNs) / 1e9, n.bytes
}

func (n *counters) close() {
	if n != nil && n.programs != nil {
		n.programs.Close()
	}
}

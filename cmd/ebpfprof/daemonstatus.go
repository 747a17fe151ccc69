package main

import (
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/agent"
	"github.com/ebpfprof/ebpfprof/pkg/metrics"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
	"github.com/ebpfprof/ebpfprof/pkg/server"
)

// status is what the daemon says of itself.
func (d *daemon) status() server.Status {
	s := server.Status{
		Version: readVersion().Version, Started: d.started, Ready: d.ready.Load(),
		Kinds: d.kinds(), Push: d.push.status(), Config: d.configStatus(),
	}
	if !s.Ready {
		s.Waiting = "the programs are not attached"
	}
	var programs time.Duration
	for event := range d.collector.Kinds() {
		if counters, err := d.sampler.Counters(event); err == nil {
			programs += counters.RunTime
		}
	}
	seconds, bytes := d.counters.cost()
	o := agent.MeasureOverhead(programs+time.Duration(seconds*1e9), d.sampler.KernelBytes()+bytes)
	s.Overhead = server.OverheadStatus{
		KernelSeconds: o.KernelSeconds, UserSeconds: o.UserSeconds, RSSBytes: o.RSSBytes, KernelBytes: o.KernelBytes,
		CPUs: d.cpus,
	}
	s.Counting = d.counters.status()
	if d.store != nil {
		st := d.store.Status()
		s.Store = &server.StoreStatus{
			Bytes: st.Bytes, Files: st.Files, Series: st.Series, Oldest: st.Oldest, Newest: st.Newest, Paused: st.Paused,
			Written: st.Written, Dropped: st.Dropped, Corrupt: st.Corrupt,
		}
	}
	return s
}

// kinds are those that are sampled, and those that the history has besides.
func (d *daemon) kinds() []server.KindStatus {
	var kinds []server.KindStatus
	known := map[string]bool{}
	stats := d.collector.Stats().Kinds
	for i, k := range d.collector.Kinds() {
		n := stats[i]
		known[n.Kind] = true
		kinds = append(kinds, server.KindStatus{
			Name: n.Kind, Unit: k.Type.Unit, Period: k.Period, Active: d.ready.Load(),
			Fired:   n.Fired - sum(n.Filtered), // what rules leave out is no target
			Samples: n.Samples, Lost: n.Lost,
		})
	}
	for _, k := range d.memory.kinds(d.ready.Load()) {
		known[k.Name] = true
		kinds = append(kinds, k)
	}
	for _, k := range d.refused {
		known[k.Name] = true
		kinds = append(kinds, k)
	}
	if d.store == nil {
		return kinds
	}
	for _, name := range d.store.Kinds() {
		if !known[name] {
			kinds = append(kinds, server.KindStatus{Name: name})
		}
	}
	return kinds
}

func sum(m map[string]uint64) (n uint64) {
	for _, v := range m {
		n += v
	}
	return n
}

// metrics are the rows that do not follow from status.
func (d *daemon) metrics() metrics.Snapshot {
	var m metrics.Snapshot
	s := d.collector.Stats()
	for _, k := range s.Kinds {
		for reason, n := range k.Stacks.ByEnd {
			m.Add(metrics.StacksTotal, float64(n), k.Kind, reason)
		}
		m.Add(metrics.FramesTotal, float64(k.Stacks.Symbolized), k.Kind, "true")
		m.Add(metrics.FramesTotal, float64(k.Stacks.Frames-k.Stacks.Symbolized), k.Kind, "false")
		m.Add(metrics.WindowsTotal, float64(s.Windows), k.Kind)
		for reason, n := range k.Filtered {
			m.Add(metrics.SamplesFilteredTotal, float64(n), k.Kind, reason)
		}
	}
	for sink, n := range s.Sinks {
		m.Add(metrics.SinkDroppedIntervalsTotal, float64(n.Dropped+n.Failed), sink)
	}
	for outcome, n := range map[string]int{
		"compiled": s.Unwind.Compiled, "cached": s.Unwind.Cached, "failed": s.Unwind.Failed,
		"evicted": s.Unwind.Evicted, "too_large": s.Unwind.TooLarge,
	} {
		m.Add(metrics.UnwindTablesTotal, float64(n), outcome)
	}
	d.totals.AddTo(&m)
	d.counters.addTo(&m)
	d.waits.totals.AddTo(&m)
	d.memory.gauges.AddTo(&m)
	d.allocs.addTo(&m)
	return m
}

// count adds an interval to the totals of services.
func (d *daemon) count(i *profile.Interval) {
	d.allocs.count(i)
	now := time.Now()
	unit := ""
	for _, k := range d.collector.Kinds() {
		if k.Name() == i.Kind {
			unit = k.Type.Unit
		}
	}
	for _, w := range i.Windows {
		var samples, value int64
		for _, s := range w.Profile.Sample {
			samples += s.Value[0]
			value += s.Value[len(s.Value)-1]
		}
		d.totals.Add(now, w.Kind, unit, w.Service, samples, value)
	}
}

package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/agent"
	"github.com/ebpfprof/ebpfprof/pkg/config"
	"github.com/ebpfprof/ebpfprof/pkg/metrics"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
	"github.com/ebpfprof/ebpfprof/pkg/server"
)

// A memory reads once a window what memory services have, and the heaps of Go programs, for as long as the daemon runs.
type memory struct {
	log     *slog.Logger
	watch   *agent.MemoryWatch
	window  time.Duration
	heaps   bool
	deliver func(*profile.Interval)
	gauges  metrics.MemoryGauges
	failing bool // the last reading did
}

// openMemory is of the daemon's own configuration, services and sinks.
func (d *daemon) openMemory(c config.Config) error {
	targets, err := targetsOf(c.Sampling.Targets)
	if err != nil {
		return err
	}
	o := agent.MemoryWatchOptions{
		FS: d.fs, Targets: targets, Identify: d.services.identity, Cache: d.heapFiles, Heaps: c.Memory.GoHeap,
	}
	if c.Push.SelfProfile {
		o.Except = os.Getpid() // it sends its own
	}
	d.memory = &memory{
		log: d.log, watch: agent.NewMemoryWatch(o), window: time.Duration(c.Sampling.Window), heaps: o.Heaps, deliver: d.keep,
	}
	return nil
}

// run reads at the ends of windows, which are multiples of their length by the clock, and once more when ctx ends.
func (m *memory) run(ctx context.Context) {
	m.read()
	for {
		now := time.Now()
		select {
		case <-ctx.Done():
			m.read()
			return
		case <-time.After(now.Truncate(m.window).Add(m.window).Sub(now)):
			m.read()
		}
	}
}

func (m *memory) read() {
	now := time.Now()
	r, err := m.watch.Read(now)
	if err != nil {
		if !m.failing {
			m.log.Error("memory of services is not read", "error", err)
		}
		m.failing = true
		return
	}
	m.failing = false
	all := make(map[string]metrics.Memory, len(r.Services))
	for service, use := range r.Services {
		all[service] = metrics.Memory{Resident: use.Resident, Heap: use.Heap}
	}
	m.gauges.Set(now, all)
	for _, i := range r.Intervals {
		m.deliver(i)
	}
}

// kinds are those of the heaps. A reading of a process is their event.
func (m *memory) kinds(ready bool) []server.KindStatus {
	if !m.heaps {
		return nil
	}
	n := m.watch.Readings()
	var kinds []server.KindStatus
	for _, name := range []string{agent.HeapAlloc, agent.HeapInUse} {
		kinds = append(kinds, server.KindStatus{
			Name: name, Unit: "bytes", Active: ready, Every: m.window,
			Fired: n.Done + n.Failed, Samples: n.Done, Lost: map[string]uint64{"unreadable": n.Failed},
		})
	}
	return kinds
}

func (m *memory) close() {
	if m != nil {
		_ = m.watch.Close() // of what was only read nothing can fail
	}
}

// keep sends a window that the collector did not make to where its windows go.
func (d *daemon) keep(i *profile.Interval) {
	d.push.add(i)
	if d.store == nil {
		return
	}
	if err := d.add(i); err != nil {
		d.log.Warn("a window is not in the history", "kind", i.Kind, "error", err)
	}
}

// add stores an interval. Two goroutines do, and the store wants one at a time.
func (d *daemon) add(i *profile.Interval) error {
	d.storing.Lock()
	defer d.storing.Unlock()
	return d.store.Add(i)
}

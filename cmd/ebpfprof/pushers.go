package main

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/config"
	"github.com/ebpfprof/ebpfprof/pkg/export"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
	"github.com/ebpfprof/ebpfprof/pkg/server"
)

// pushers are the targets of pushes in force. Safe for concurrent use.
type pushers struct {
	log *slog.Logger

	mu   sync.Mutex
	list []*pusher
}

// A pusher is one target.
type pusher struct {
	name   string
	target config.Target
	*export.Exporter
}

// A destination is a target of a configuration and what makes its exporter.
type destination struct {
	name   string
	target config.Target
	open   func(export.Options) (*export.Exporter, error)
}

func destinations(c config.Push) []destination {
	return []destination{
		{"pyroscope", c.Pyroscope, export.NewPyroscope},
		{"otlp", c.OTLP, export.NewOTLP},
	}
}

// configure puts targets in force. One that changed is closed first, with what it could not send in its spool, where the
// new one finds it. On error the others are in force all the same.
func (p *pushers) configure(c config.Push) error {
	for _, t := range destinations(c) {
		if t.target.URL == "" {
			continue
		}
		if err := export.Check(exportOptions(t.target, p.log)); err != nil {
			return pushError(t.name, err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []*pusher
	var failed error
	for _, t := range destinations(c) {
		old := p.find(t.name)
		if old != nil && reflect.DeepEqual(old.target, t.target) {
			list = append(list, old)
			continue
		}
		if old != nil {
			ctx, cancel := context.WithTimeout(context.Background(), stopTime)
			_ = old.Close(ctx) // what was late is in the spool, or counted
			cancel()
		}
		if t.target.URL == "" {
			continue
		}
		e, err := t.open(exportOptions(t.target, p.log))
		if err != nil {
			failed = errors.Join(failed, pushError(t.name, err))
			continue
		}
		go func() {
			if err := e.Run(context.Background()); err != nil {
				p.log.Error("push ended", "target", t.name, "error", err)
			}
		}()
		list = append(list, &pusher{t.name, t.target, e})
	}
	p.list = list
	return failed
}

func (p *pushers) find(name string) *pusher {
	for _, old := range p.list {
		if old.name == name {
			return old
		}
	}
	return nil
}

func exportOptions(t config.Target, log *slog.Logger) export.Options {
	return export.Options{
		URL: t.URL, Tenant: t.Tenant, HTTP: &t.HTTP, Labels: t.Labels,
		SpoolDir: t.Spool.Dir, SpoolBytes: int64(t.Spool.MaxSize), MaxAge: time.Duration(t.Spool.MaxAge),
		UserAgent: "ebpfprof/" + readVersion().Version, Log: log,
	}
}

// add hands an interval to every target; none of them blocks.
func (p *pushers) add(i *profile.Interval) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.list {
		e.Add(i)
	}
}

// close sends what it can until ctx ends, all targets at once, and leaves the rest in their spools.
func (p *pushers) close(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all sync.WaitGroup
	for _, e := range p.list {
		all.Go(func() {
			if err := e.Close(ctx); err != nil {
				p.log.Error("push did not end in time", "target", e.name, "error", err)
			}
		})
	}
	all.Wait()
}

// status is what became of everything, target by target.
func (p *pushers) status() []server.PushStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := []server.PushStatus{}
	for _, e := range p.list {
		s := e.Status()
		status := server.PushStatus{
			Target: s.Target, URL: s.URL, Requests: s.Requests, Pushed: s.Pushed, Dropped: s.Dropped,
			SpooledBytes: s.Spool.Bytes, SpooledFiles: s.Spool.Requests, LastError: s.LastError,
		}
		if s.LastSuccess != nil {
			status.LastSuccess = *s.LastSuccess
		}
		list = append(list, status)
	}
	return list
}

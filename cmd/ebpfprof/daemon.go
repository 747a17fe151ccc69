package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ebpfprof/ebpfprof/pkg/agent"
	"github.com/ebpfprof/ebpfprof/pkg/config"
	"github.com/ebpfprof/ebpfprof/pkg/export"
	"github.com/ebpfprof/ebpfprof/pkg/goheap"
	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/metrics"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
	"github.com/ebpfprof/ebpfprof/pkg/server"
	"github.com/ebpfprof/ebpfprof/pkg/store"
)

// A daemon is everything that runs for weeks. Parts know nothing of each other: this file joins them.
type daemon struct {
	log     *slog.Logger
	level   *slog.LevelVar
	fs      proc.FS
	started time.Time
	cpus    int                           // online when the daemon started; 0: not known
	load    func() (config.Config, error) // reads the configuration anew
	notify  notifier

	listener  net.Listener
	store     *store.Store // nil: no history
	push      pushers
	sampler   *loader.Sampler
	collector *agent.Collector
	counters  *counters // nil: not wanted
	allocs    *allocations
	waits     waits
	heapFiles *goheap.Cache
	memory    *memory
	storing   sync.Mutex // held while an interval is added to store
	server    *server.Server
	refused   []server.KindStatus // kinds that were asked for and that the machine cannot do
	totals    metrics.Totals

	services *serviceIdentifier
	ready    atomic.Bool
	sampling chan struct{} // closed when events fire

	reloading sync.Mutex // held while the configuration is read anew
	mu        sync.Mutex // guards what follows
	config    config.Config
	reloaded  server.ConfigStatus
}

// openDaemon makes all parts, and takes the address first: a second daemon fails before it does anything.
func openDaemon(c config.Config, load func() (config.Config, error)) (*daemon, error) {
	d := &daemon{
		started: time.Now(), load: load, config: c, heapFiles: &goheap.Cache{}, sampling: make(chan struct{}),
		reloaded: server.ConfigStatus{Successful: true, LastSuccess: time.Now()},
	}
	d.log, d.level = newLogger(c.Log)
	err := d.open(c)
	if err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *daemon) open(c config.Config) (err error) {
	if d.listener, err = net.Listen("tcp", c.Listen); err != nil {
		return fmt.Errorf("take address of the page: %w", err)
	}
	if c.WebConfigFile != "" {
		if err := server.CheckWebConfig(c.WebConfigFile); err != nil {
			return err
		}
	}
	rules, err := serviceRules(c)
	if err != nil {
		return err
	}
	if cpus, err := d.fs.OnlineCPUs(); err == nil {
		d.cpus = len(cpus)
	}
	d.services = newServiceIdentifier(d.fs, rules)
	if c.Store.Enabled {
		if d.store, err = store.Open(storeOptions(c.Store, d.log)); err != nil {
			return err
		}
	}
	d.push.log = d.log
	if err := d.push.configure(c.Push); err != nil {
		return err
	}
	if err := d.openSampler(c); err != nil {
		return err
	}
	if err := d.openMemory(c); err != nil {
		return err
	}
	heaps, err := newServiceHeaps(c, d.fs, d.services.identity, d.heapFiles)
	if err != nil {
		return err
	}
	d.server = server.New(server.Options{
		Logger: d.log, History: history{d.store}, Feed: d.collector, Status: d.status, Metrics: d.metrics,
		Reload: d.reload, Heap: heaps.profile, Hosts: hostsOf(c), WebConfigFile: c.WebConfigFile,
	})
	return nil
}

// visitEvery is how often the daemon looks at threads that wait. Each look costs some 10 us for each of them, most of it to
// walk its stack, and finds the same one in a thread that sleeps.
const visitEvery = 5 * time.Second

// openSampler loads the programs and enters the targets. Nothing fires before run.
func (d *daemon) openSampler(all config.Config) error {
	c := all.Sampling
	events, refused, err := chooseEvents(c, uint64(all.Memory.AllocPeriod))
	if err != nil {
		return err
	}
	targets, err := targetsOf(c.Targets)
	if err != nil {
		return err
	}
	filter, err := targets.Filter(d.fs)
	if err != nil {
		return err
	}
	inode, _, err := d.fs.PIDNamespace()
	if err != nil {
		return err
	}
	d.waits.services = agent.NewServiceWaits(d.services.identity)
	var lacking []server.KindStatus
	d.sampler, events, lacking, err = openEvents(loader.Options{
		Events: events, Filter: filter, Namespace: inode, RingBytes: int(c.Ring), AllocAccounts: allocAccounts,
		OffCPU: loader.OffCPU{Visited: d.waits.add, Visit: min(visitEvery, time.Duration(c.Window))},
	}, loader.Open)
	if err != nil {
		return err
	}
	d.refused = append(refused, lacking...)
	for _, k := range d.refused {
		d.log.Warn("an event is not sampled", "kind", k.Name, "problem", k.Problem)
	}
	if err := targets.Seed(d.fs, d.sampler); err != nil {
		return err
	}
	if all.Counters.Enabled {
		if d.counters, err = openCounters(all, d.fs, filter, d.services.identity, d.log); err != nil {
			return err
		}
		if d.counters.programs != nil && len(targets.PIDs) > 0 {
			if err := targets.Seed(d.fs, d.counters.programs); err != nil {
				return err
			}
		}
	}
	kinds := agent.KindsOf(events...)
	if err := d.openAllocations(all, kinds, events, targets); err != nil {
		return err
	}
	o := agent.CollectorOptions{
		FS: d.fs, Kinds: kinds, Window: time.Duration(c.Window), Sinks: d.sinks(), PIDs: targets.PIDs,
		Identify: d.services.identity, Log: d.log,
	}
	if c.UnwindBudget > 0 {
		o.Tables, o.TableBudget, o.TableCache = d.sampler, int64(c.UnwindBudget), c.UnwindCache
	}
	d.collector, err = agent.NewCollector(d.sampler, o)
	return err
}

func targetsOf(c config.Targets) (agent.Targets, error) {
	t := agent.Targets{PIDs: c.PIDs, Cgroup: c.Cgroup, Container: c.Container, Unit: c.Unit}
	if c.Comm != "" {
		re, err := regexp.Compile(c.Comm)
		if err != nil {
			return t, fmt.Errorf("sampling.targets.comm: %w", err)
		}
		t.Comm = re
	}
	return t, nil
}

// sinks are where windows go. Each has a queue and a goroutine of its own.
func (d *daemon) sinks() []agent.Sink {
	sinks := []agent.Sink{{Name: "metrics", Put: func(_ context.Context, i *profile.Interval) error {
		d.count(i)
		return nil
	}}, {Name: "push", Put: func(_ context.Context, i *profile.Interval) error {
		d.push.add(i)
		return nil
	}}}
	if d.store != nil {
		sinks = append(sinks, agent.Sink{Name: "store", Put: func(_ context.Context, i *profile.Interval) error {
			return d.add(i)
		}})
	}
	return sinks
}

// stopTime bounds the end: systemd's patience is longer, people's is not.
const stopTime = 1900 * time.Millisecond

// run answers and profiles until ctx ends or a part fails.
func (d *daemon) run(ctx context.Context) error {
	group, running := errgroup.WithContext(ctx)
	upkeep, endUpkeep := context.WithCancel(context.WithoutCancel(ctx))
	defer endUpkeep()
	group.Go(func() error { return d.server.Serve(running, d.listener) })
	group.Go(func() error {
		defer d.ready.Store(false)
		return d.collector.Run(running, starting{d.sampler, d.isReady, d.allocs.handler})
	})
	group.Go(func() error { d.allocs.run(running, d.sampling); return nil })
	group.Go(func() error { d.lookAfterRules(running); return nil })
	group.Go(func() error { d.counters.run(running); return nil })
	group.Go(func() error { d.memory.run(running); return nil })
	defer d.startSelfProfile()()
	go func() { _ = d.notify.watch(running, d.alive) }()
	var store sync.WaitGroup
	if d.store != nil {
		store.Go(func() {
			if err := d.store.Run(upkeep); err != nil {
				d.log.Error("the history is not merged and not bounded any more", "error", err)
			}
		})
	}
	<-running.Done()
	stopped := time.Now()
	d.log.Info("stopping")
	_ = d.notify.stopping("storing and sending the last window")
	err := group.Wait()
	endUpkeep()
	store.Wait()
	flush, cancel := context.WithDeadline(context.WithoutCancel(ctx), stopped.Add(stopTime))
	defer cancel()
	d.push.close(flush)
	d.log.Info("stopped", "seconds", time.Since(stopped).Round(time.Millisecond).Seconds())
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return nil
	}
	return err
}

// startSelfProfile begins the daemon's own profiles, if they are wanted, and returns what ends them.
func (d *daemon) startSelfProfile() (end func()) {
	if !d.config.Push.SelfProfile {
		return func() {}
	}
	s, err := export.StartSelfProfile(export.SelfProfileOptions{Log: d.log}, d.push.add)
	if err != nil {
		d.log.Error("no profiles of the daemon itself", "error", err)
		return func() {}
	}
	return func() { _ = s.Close() }
}

// A starting sampler tells when its events fire.
type starting struct {
	*loader.Sampler
	started func()
	handler func(loader.Handler) loader.Handler
}

func (s starting) Run(h loader.Handler) error { return s.Sampler.Run(s.handler(h)) }

func (s starting) Start() error {
	err := s.Sampler.Start()
	if err == nil {
		s.started()
	}
	return err
}

func (d *daemon) isReady() {
	close(d.sampling)
	d.ready.Store(true)
	setPriority(daemonNice)
	address := d.listener.Addr().String()
	d.log.Info("ready", "page", "http://"+address+"/", "seconds", time.Since(d.started).Round(time.Millisecond).Seconds())
	if err := d.notify.ready("profiling; page at http://" + address + "/"); err != nil {
		d.log.Warn("systemd was not told", "error", err)
	}
}

// alive is false when the reading of samples hangs.
func (d *daemon) alive() bool { return d.ready.Load() }

// close releases everything. run has returned, or was never called.
func (d *daemon) close() {
	if d.sampler != nil {
		d.sampler.Close()
	}
	d.counters.close()
	d.memory.close()
	d.allocs.close()
	if d.store != nil {
		if err := d.store.Close(); err != nil {
			d.log.Error("close history", "error", err)
		}
	}
	if d.listener != nil {
		d.listener.Close()
	}
}

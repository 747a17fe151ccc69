// Package export pushes profiles to servers: Pyroscope's push.v1 and OTLP. Nothing is lost without a count and a
// reason: what cannot be sent now waits in memory and on disk, for as long as the server would take it.
package export

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

// An Exporter pushes intervals to one server. Add, Status and Push are safe for concurrent use with everything.
type Exporter struct {
	o        Options
	protocol protocol
	sender   sender
	counters *counters
	outbox   *outbox

	queue   chan *prof.Interval
	quit    chan struct{} // closed: end
	encoded chan struct{} // closed: nothing is encoded any more
	done    chan struct{} // closed: ended

	mu      sync.Mutex
	queued  int // profiles in queue
	running bool
	closing bool // quit is closed
	closed  bool // nothing is added any more
	until   time.Time
}

// NewPyroscope returns an exporter to a Pyroscope server, or what speaks push.v1 as it does.
func NewPyroscope(o Options) (*Exporter, error) {
	o.setDefaults()
	header := http.Header{"Content-Type": {"application/proto"}, "Connect-Protocol-Version": {"1"}}
	return newExporter("pyroscope", pushPath, o, header, &pushV1{
		profile: pprofLimit{o.MaxSamples, o.MaxProfileBytes}, request: o.MaxRequestBytes, extra: o.Labels,
	})
}

// NewOTLP returns an exporter to an OTLP receiver over HTTP.
func NewOTLP(o Options) (*Exporter, error) {
	o.setDefaults()
	header := http.Header{"Content-Type": {"application/x-protobuf"}}
	return newExporter("otlp", otlpPath, o, header, &otlp{request: o.MaxRequestBytes, extra: o.Labels})
}

func newExporter(target, path string, o Options, header http.Header, p protocol) (*Exporter, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	u, err := endpoint(o.URL, path)
	if err != nil {
		return nil, err
	}
	client, err := o.client(target)
	if err != nil {
		return nil, err
	}
	header.Set("Content-Encoding", "gzip")
	if o.Tenant != "" {
		header.Set("X-Scope-OrgID", o.Tenant)
	}
	e := &Exporter{
		o: o, protocol: p,
		sender:   sender{client: client, url: u.String(), header: header, timeout: o.Timeout, now: o.Now},
		counters: newCounters(target, u.Redacted(), o.Log, o.Now),
		queue:    make(chan *prof.Interval, o.Queue),
		quit:     make(chan struct{}), encoded: make(chan struct{}), done: make(chan struct{}),
	}
	var s *spool
	var files []spoolFile
	if o.SpoolDir != "" {
		if s, files, err = openSpool(filepath.Join(o.SpoolDir, target)); err != nil {
			return nil, err
		}
	}
	for _, f := range files {
		e.counters.change(func(s *Status) { s.Added += uint64(f.profiles) })
	}
	e.outbox = newOutbox(&o, s, files, e.counters)
	return e, nil
}

// Add queues an interval to be pushed and returns at once. The interval and its profiles must not change any more.
// When the queue is full, or after the end, its profiles are dropped and counted.
func (e *Exporter) Add(iv *prof.Interval) {
	n := len(iv.Windows)
	e.counters.change(func(s *Status) { s.Added += uint64(n) })
	if reason := e.enqueue(iv); reason != "" {
		e.counters.drop(reason, n, nil)
	}
}

func (e *Exporter) enqueue(iv *prof.Interval) (reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return DropStopped
	}
	select {
	case e.queue <- iv:
		e.queued += len(iv.Windows)
		return ""
	default:
		return DropQueueFull
	}
}

var errStarted = errors.New("run exporter: it was started before")

// Run pushes until ctx ends or Close is called, then sends what it can within Options.StopTimeout and leaves the rest
// in the spool.
func (e *Exporter) Run(ctx context.Context) error {
	e.mu.Lock()
	if e.running || e.closing {
		e.mu.Unlock()
		return errStarted
	}
	e.running = true
	e.mu.Unlock()
	// Requests outlive ctx: one that is under way when ctx ends gets the time that is left.
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var both sync.WaitGroup
	both.Go(e.encodeAll)
	both.Go(func() { e.sendAll(sending) })
	select {
	case <-ctx.Done():
		e.end(time.Now().Add(e.o.StopTimeout))
	case <-e.quit:
	}
	stop := time.AfterFunc(e.sendTime(), cancel)
	defer stop.Stop()
	both.Wait()
	e.finish()
	return nil
}

// Close ends Run and waits for it. What could not be sent by the deadline of ctx, or within Options.StopTimeout when
// there is none, is left in the spool. It is safe to call again.
func (e *Exporter) Close(ctx context.Context) error {
	until := time.Now().Add(e.o.StopTimeout)
	if d, ok := ctx.Deadline(); ok {
		until = d
	}
	first, running := e.end(until)
	if first && !running {
		e.encodeAll()
		e.finish()
	}
	select {
	case <-e.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close exporter: %w", ctx.Err())
	}
}

// end tells Run to end by a time. It returns whether it is the first to say so, and whether there is a Run.
func (e *Exporter) end(until time.Time) (first, running bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	first = !e.closing
	if first {
		e.closing, e.closed, e.until = true, true, until
		close(e.quit)
	}
	return first, e.running
}

// sendTime is how long requests may take after the end: the last third of the time is for the disk.
func (e *Exporter) sendTime() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return time.Until(e.until) * 2 / 3
}

// finish leaves what was not sent in the spool, or drops it.
func (e *Exporter) finish() {
	e.outbox.spill()
	e.outbox.abandon()
	e.sender.client.CloseIdleConnections()
	close(e.done)
}

// Status returns what became of all profiles so far.
func (e *Exporter) Status() Status {
	s := e.counters.status()
	e.mu.Lock()
	s.Queued = uint64(e.queued)
	e.mu.Unlock()
	e.outbox.contents(&s)
	return s
}

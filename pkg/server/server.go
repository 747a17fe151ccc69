// Package server is the daemon's HTTP: the API, the live stream, /pprof/ for `go tool pprof`, /metrics and the page.
// docs/api.md is for its users, openapi.json the full description; a test keeps routes and document alike.
//
// It knows neither the agent nor the store: it consumes the interfaces in sources.go. Every name that comes out of them
// was chosen by a profiled process and is hostile: it is written as text, never as markup, a header or a path.
package server

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/metrics"
)

// Options are what a Server works with. History, Feed and Status must be set.
type Options struct {
	Logger  *slog.Logger // nil: nothing is logged
	History History
	Feed    Feed
	Status  func() Status // called for each request that needs it; must be safe for concurrent use

	// Metrics returns rows that are not derived from Status, such as unwind tables; it is called at each scrape. A row
	// that the server adds itself (see metrics.go) must not be in it. Nil: none.
	Metrics func() metrics.Snapshot
	// Reload reads the configuration anew and swaps it in, or fails and keeps the old one. Nil: 501.
	Reload func(context.Context) error

	// Heap reads the memory profiles of a service's processes. It blocks for HeapQuery.Over, or until ctx ends, and may be
	// called concurrently. The error has ErrNoService or ErrNoHeap in its chain where that is so. Nil: 501.
	Heap func(ctx context.Context, q HeapQuery) (*pprof.Profile, error)

	// Hosts are further names that the Host header may have: "profiler.example.org". Ports are ignored.
	Hosts []string
	// WebConfigFile is exporter-toolkit's file with TLS, users and rate limit. "": plain HTTP without users.
	WebConfigFile string

	Limits Limits
	Now    func() time.Time // nil: time.Now
}

// Limits bound what clients can hold. A zero field has the default.
type Limits struct {
	Live       int           // live streams at once: 16
	Recordings int           // /pprof/ recordings at once: 16
	Queries    int           // profiles that are merged or sent at once: 4
	QueryWait  time.Duration // for one of these before 503: 5 s
	Write      time.Duration // for one answer, or one message of a stream, to be taken by the client: 10 s
	Heartbeat  time.Duration // silence on a live stream before a message says that all is well: 5 s
	Shutdown   time.Duration // for answers to end after Serve's context did: 1 s
	Dictionary int           // nodes, and strings, that a live stream keeps before it starts anew: 100,000
}

func (l Limits) withDefaults() Limits {
	set := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	wait := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	set(&l.Live, 16)
	set(&l.Recordings, 16)
	set(&l.Queries, 4)
	wait(&l.QueryWait, 5*time.Second)
	wait(&l.Write, 10*time.Second)
	wait(&l.Heartbeat, 5*time.Second)
	wait(&l.Shutdown, time.Second)
	set(&l.Dictionary, 100_000)
	return l
}

// A Server answers the daemon's HTTP requests. It is safe for concurrent use.
type Server struct {
	o       Options
	hosts   atomic.Pointer[map[string]bool]
	handler http.Handler
	counts  counts

	live, recordings, queries chan struct{} // a token for each that is under way

	stopping chan struct{} // closed when streams and recordings have to end
	stop     func()        // closes it, once
}

// New returns a Server for o.
func New(o Options) *Server {
	o.Limits = o.Limits.withDefaults()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.History = derivedHistory{o.History}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{
		o:          o,
		live:       make(chan struct{}, o.Limits.Live),
		recordings: make(chan struct{}, o.Limits.Recordings),
		queries:    make(chan struct{}, o.Limits.Queries),
		stopping:   make(chan struct{}),
	}
	s.SetHosts(o.Hosts)
	s.stop = onceClose(s.stopping)
	s.handler = s.mux(s.table())
	return s
}

// Handler returns everything that the server serves, checks of Host and Origin included, for a listener of the caller's.
func (s *Server) Handler() http.Handler { return s.handler }

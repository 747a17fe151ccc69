// Package pyroscope is a Pyroscope server for tests: the real handlers of its push.v1 API, with the rules that a real
// server of August 2026 was seen to enforce (docs/pyroscope.md names them). It stores in memory, and can be told to
// fail in the ways that networks and servers do. It is a module of its own because the API's module is large.
package pyroscope

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"
	pushv1 "github.com/grafana/pyroscope/api/gen/proto/go/push/v1"
	"github.com/grafana/pyroscope/api/gen/proto/go/push/v1/pushv1connect"
)

// A Server accepts pushes. It is safe for concurrent use; the fields are set before the first request.
type Server struct {
	Rules  Rules
	Tenant string           // that requests must name; "": any or none
	Now    func() time.Time // nil: the real clock

	mu       sync.Mutex
	fault    Fault
	requests int
	stored   []Profile
	times    map[string]int // ID -> how often it was accepted
	tokens   float64        // of the rate limit, bytes
	refilled time.Time
}

// A Profile is one that was accepted.
type Profile struct {
	ID      string
	Service string
	Labels  map[string]string
	Raw     []byte // pprof, uncompressed
}

// Handler serves push.v1 as Pyroscope does.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(pushv1connect.NewPusherServiceHandler(s))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests++
		fault := s.fault
		s.mu.Unlock()
		if fault != nil {
			fault(mux, w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// SetFault makes requests from now on fail so; nil ends it.
func (s *Server) SetFault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Requests returns how many requests came in.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// Profiles returns what was accepted, in order. A profile that was sent twice is in it twice.
func (s *Server) Profiles() []Profile {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Profile(nil), s.stored...)
}

// Duplicates returns how many profiles were accepted that had been accepted before. A real server cannot tell: it
// stores them again.
func (s *Server) Duplicates() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, times := range s.times {
		n += times - 1
	}
	return n
}

// Push takes each series by itself: those that break no rule are stored even where others fail.
func (s *Server) Push(_ context.Context, req *connect.Request[pushv1.PushRequest]) (*connect.Response[pushv1.PushResponse], error) {
	if s.Tenant != "" && req.Header().Get("X-Scope-OrgID") != s.Tenant {
		return nil, connect.NewError(connect.CodeUnauthenticated, errors.New("no org id"))
	}
	var failed []error
	index := 0
	for _, series := range req.Msg.Series {
		for _, sample := range series.Samples {
			if err := s.store(series, sample); err != nil {
				failed = append(failed, fmt.Errorf("push series with index %d and id %s failed: %w", index, sample.ID, err))
			}
			index++
		}
	}
	if len(failed) == 0 {
		return connect.NewResponse(&pushv1.PushResponse{}), nil
	}
	err := errors.Join(failed...)
	return nil, connect.NewError(connect.CodeOf(failed[0]), err)
}

func (s *Server) store(series *pushv1.RawProfileSeries, sample *pushv1.RawSample) error {
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	p, err := s.Rules.check(series.Labels, sample, now())
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.allow(len(p.Raw), now()) {
		return connect.NewError(connect.CodeResourceExhausted, fmt.Errorf("push rate limit exceeded while adding %d bytes", len(p.Raw)))
	}
	if s.times == nil {
		s.times = make(map[string]int)
	}
	s.times[p.ID]++
	s.stored = append(s.stored, p)
	return nil
}

// allow takes n bytes from the bucket, which fills at Rules.Rate and holds Rules.Burst. The lock is held.
func (s *Server) allow(n int, now time.Time) bool {
	if s.Rules.Rate == 0 {
		return true
	}
	if s.refilled.IsZero() {
		s.tokens = float64(s.Rules.Burst)
	} else {
		s.tokens = min(float64(s.Rules.Burst), s.tokens+float64(s.Rules.Rate)*now.Sub(s.refilled).Seconds())
	}
	s.refilled = now
	if float64(n) > s.tokens {
		return false
	}
	s.tokens -= float64(n)
	return true
}

package server

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// ErrNoService is in the chain of Options.Heap's errors about a service of which no process lives.
var ErrNoService = errors.New("no process of this service runs")

// ErrNoHeap is in the chain of Options.Heap's errors about a service that has no memory profile; the text, which clients
// read, says why.
var ErrNoHeap = errors.New("no memory profile")

// A HeapQuery asks for the memory profile of a service.
type HeapQuery struct {
	Service string
	// Over is the time between two readings of which the difference is wanted; 0: one reading, of now.
	Over time.Duration
	// Value is the sample type that `go tool pprof` shows first.
	Value    string
	Comments []string // for the profile
}

// noGC is told who asks for a collection, as Go's own endpoint makes one.
const noGC = "gc: no garbage collection was made: the profile is read from outside, and nothing runs in the process"

// heap answers as Go's own /debug/pprof/heap and allocs do, which differ in what is shown first. It needs no agreement of
// the process.
func (s *Server) heap(value string) func(http.ResponseWriter, *http.Request, params) error {
	return func(w http.ResponseWriter, r *http.Request, p params) error {
		seconds, err := p.integer("seconds", 0, 1, maxSeconds)
		if err != nil {
			return err
		}
		gc, err := p.integer("gc", 0, 0, 1)
		if err != nil {
			return err
		}
		if s.o.Heap == nil {
			return refuse(http.StatusNotImplemented, "memory profiles are not read here")
		}
		q := HeapQuery{Service: r.PathValue("service"), Over: time.Duration(seconds) * time.Second, Value: value}
		if gc > 0 {
			q.Comments = append(q.Comments, noGC)
		}
		release, err := s.heapTurn(r.Context(), seconds > 0)
		if err != nil {
			return err
		}
		defer release()
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		go func() {
			select {
			case <-s.stopping:
				cancel()
			case <-ctx.Done():
			}
		}()
		profile, err := s.o.Heap(ctx, q)
		switch {
		case errors.Is(err, ErrNoService):
			return refuse(http.StatusNotFound, "%w", err)
		case errors.Is(err, ErrNoHeap):
			return refuse(http.StatusNotImplemented, "%w", err)
		case err != nil && s.stopped():
			return busy("the daemon is stopping")
		case err != nil:
			return err
		}
		return s.sendRecorded(w, r, profile, Query{Kind: value, Service: q.Service, To: s.o.Now()})
	}
}

// heapTurn takes a place among recordings for a difference, and among queries for one reading.
func (s *Server) heapTurn(ctx context.Context, difference bool) (release func(), err error) {
	if !difference {
		return s.acquire(ctx)
	}
	return s.take(s.recordings, "recordings")
}

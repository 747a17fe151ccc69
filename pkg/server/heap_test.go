package server

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	pprof "github.com/google/pprof/profile"
)

// The two profiles are one, with another type shown first; seconds and gc arrive, and what is not there has its reason.
func TestHeap(t *testing.T) {
	f := newFixture(t)
	for target, want := range map[string]struct {
		first string
		over  time.Duration
		gc    bool
	}{
		"/pprof/nginx/heap":                  {"inuse_space", 0, false},
		"/pprof/nginx/heap?seconds=7&gc=1":   {"inuse_space", 7 * time.Second, true},
		"/pprof/nginx/allocs?gc=0&seconds=5": {"alloc_space", 5 * time.Second, false},
	} {
		p, err := pprof.ParseData(f.get(t, target))
		if err != nil {
			t.Fatalf("%s: %v", target, err)
		}
		gc := slices.Contains(p.Comments, noGC)
		if p.DefaultSampleType != want.first || p.DurationNanos != int64(want.over) || gc != want.gc || len(p.Sample) != 1 {
			t.Errorf("%s: %s first, %d ns, %q", target, p.DefaultSampleType, p.DurationNanos, p.Comments)
		}
	}
	for target, want := range map[string]struct {
		code int
		text string
	}{
		"/pprof/db/heap":       {http.StatusNotImplemented, "process 7 (db): it is not Go's"},
		"/pprof/nobody/heap":   {http.StatusNotFound, "no process of this service"},
		"/pprof/nobody/allocs": {http.StatusNotFound, "nobody"},
	} {
		if w := f.request("GET", target); w.Code != want.code || !strings.Contains(w.Body.String(), want.text) {
			t.Errorf("%s: %d %s, want %d and %q", target, w.Code, w.Body, want.code, want.text)
		}
	}
	without := newFixture(t, func(o *Options) { o.Heap = nil })
	if w := without.request("GET", "/pprof/nginx/heap"); w.Code != http.StatusNotImplemented {
		t.Errorf("without a reader: %d", w.Code)
	}
}

// A difference ends when the server does, and takes one of the places of recordings while it waits.
func TestHeapDifferenceWaits(t *testing.T) {
	began := make(chan struct{})
	f := newFixture(t, func(o *Options) {
		o.Limits.Recordings = 1
		o.Heap = func(ctx context.Context, _ HeapQuery) (*pprof.Profile, error) {
			close(began)
			<-ctx.Done()
			return nil, ctx.Err()
		}
	})
	done := make(chan int)
	go func() { done <- f.request("GET", "/pprof/nginx/heap?seconds=600").Code }()
	<-began
	if w := f.request("GET", "/pprof/nginx/allocs?seconds=600"); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("one more than there may be: %d %s", w.Code, w.Body)
	}
	f.stop()
	if code := <-done; code != http.StatusServiceUnavailable || len(f.recordings) != 0 {
		t.Errorf("stopped: %d, %d places taken", code, len(f.recordings))
	}
}

// Kinds that are read at the ends of windows are in the history and not live; how they are merged is told; and a level is
// not scaled by time.
func TestHeapKinds(t *testing.T) {
	f := newFixture(t, func(o *Options) {
		o.Status = func() Status {
			s := testStatus()
			for _, name := range []string{"alloc_space", "inuse_space"} {
				s.Kinds = append(s.Kinds, KindStatus{Name: name, Unit: "bytes", Active: true, Every: 10 * time.Second})
			}
			return s
		}
	})
	kinds := string(f.get(t, "/api/v1/kinds"))
	for _, want := range []string{
		`"name":"alloc_space","unit":"bytes","active":true,"merge":"sum","live":false`,
		`"name":"inuse_space","unit":"bytes","active":true,"merge":"mean","live":false`,
		`"name":"cpu","unit":"nanoseconds","period":10000000,"active":true,"merge":"sum","live":true`,
	} {
		if !strings.Contains(kinds, want) {
			t.Errorf("kinds lack %s:\n%s", want, kinds)
		}
	}
	w := f.request("GET", "/api/v1/live?kind=inuse_space")
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "read once in 10s") {
		t.Errorf("live: %d %s", w.Code, w.Body)
	}
	for _, kind := range []string{"alloc_space", "inuse_space"} { // 10 s, and as long as twice 10 s before
		for _, ago := range []time.Duration{time.Minute, 2 * time.Minute, 130 * time.Second} {
			one := window("nginx", now.Add(-ago), 10*time.Second, stackCount{"nginx", []string{"main"}, 1})
			one.Kind = kind
			f.history.windows = append(f.history.windows, one)
		}
	}
	for kind, scale := range map[string]float64{"alloc_space": 0.5, "inuse_space": 1} {
		d := decode[struct{ Base struct{ Scale float64 } }](t, f.get(t, "/api/v1/diff?from=now-65s&to=now&base_from=now-3m&base_to=now-100s&kind="+kind))
		if d.Base.Scale != scale {
			t.Errorf("the base of %s is scaled by %g, want %g", kind, d.Base.Scale, scale)
		}
	}
}

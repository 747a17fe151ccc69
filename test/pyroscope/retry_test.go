package pyroscope_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/export"
	"github.com/ebpfprof/ebpfprof/test/pyroscope"
)

// TestRetry: each fault is there for one request. What may succeed later is sent again, once the pause is over and not
// before; what may not is dropped with its reason.
func TestRetry(t *testing.T) {
	for name, c := range map[string]struct {
		fault      pyroscope.Fault
		pause      time.Duration // that must be waited at least
		reason     string        // "": sent again
		duplicates int
	}{
		"429":                 {fault: pyroscope.Status(429, "slow down")},
		"429 Retry-After":     {fault: pyroscope.Status(429, "slow down", "Retry-After", "20"), pause: 19 * time.Second},
		"429 long wait":       {fault: pyroscope.Status(429, "slow down", "Retry-After", "86400"), pause: 299 * time.Second},
		"500":                 {fault: pyroscope.Status(500, "oops")},
		"502":                 {fault: pyroscope.Status(502, "<html>")},
		"503":                 {fault: pyroscope.Status(503, "")},
		"408":                 {fault: pyroscope.Status(408, "")},
		"resource exhausted":  {fault: pyroscope.ConnectError(429, "resource_exhausted", "rate")},
		"internal":            {fault: pyroscope.ConnectError(500, "internal", "x")},
		"unavailable":         {fault: pyroscope.ConnectError(503, "unavailable", "x")},
		"data loss":           {fault: pyroscope.ConnectError(500, "data_loss", "x")},
		"aborted":             {fault: pyroscope.ConnectError(409, "aborted", "x")},
		"unknown":             {fault: pyroscope.ConnectError(500, "unknown", "x")},
		"deadline":            {fault: pyroscope.ConnectError(504, "deadline_exceeded", "x")},
		"cut":                 {fault: pyroscope.Cut},
		"slow headers":        {fault: pyroscope.Slow(time.Hour)},
		"reply lost":          {fault: pyroscope.LoseReply, duplicates: 3},
		"reply cut":           {fault: pyroscope.CutReply},
		"invalid argument":    {fault: pyroscope.ConnectError(400, "invalid_argument", "x"), reason: export.DropRefused},
		"unimplemented":       {fault: pyroscope.ConnectError(501, "unimplemented", "x"), reason: export.DropRefused},
		"404":                 {fault: pyroscope.Status(404, "not found"), reason: export.DropRefused},
		"413":                 {fault: pyroscope.Status(413, "large"), reason: export.DropRefused},
		"422":                 {fault: pyroscope.Status(422, "labels"), reason: export.DropRefused},
		"redirect":            {fault: pyroscope.Status(304, ""), reason: export.DropRefused},
		"401":                 {fault: pyroscope.Status(401, "who?"), reason: export.DropUnauthorized},
		"permission denied":   {fault: pyroscope.ConnectError(403, "permission_denied", "x"), reason: export.DropUnauthorized},
		"answer of a million": {fault: pyroscope.Status(400, string(make([]byte, 4<<20))), reason: export.DropRefused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := &pyroscope.Server{Rules: strict()}
			clock := newClock()
			server.Now = clock.Now
			var times atomic.Int32
			server.SetFault(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
				if times.Add(1) == 1 {
					c.fault(next, w, r)
					return
				}
				next.ServeHTTP(w, r)
			})
			e := newExporter(t, export.Options{
				URL: serve(t, server).URL, Timeout: 300 * time.Millisecond, Now: clock.Now, After: clock.After,
			})
			run(t, e)
			e.Add(interval("cpu", clock.Now(), 3, 2))
			s := eventually(t, e, "a request", func(s export.Status) bool { return len(s.Requests) > 0 })
			if c.reason != "" {
				if s = eventually(t, e, "an end", nothingWaits); s.Dropped[c.reason] != 3 || s.LastError == "" || len(s.LastError) > 1100 {
					t.Errorf("status: %+v", s)
				}
				return
			}
			if s.Requests[export.OutcomeRetry] > 0 {
				clock.advance(c.pause)
				time.Sleep(5 * time.Millisecond)
				if n := times.Load(); n != 1 {
					t.Errorf("sent again within %v", c.pause)
				}
				clock.advance(10 * time.Second)
			}
			s = eventually(t, e, "success", nothingWaits)
			if s.Pushed != 3 || dropped(s) != 0 || server.Duplicates() != c.duplicates || int(s.Ambiguous) < c.duplicates {
				t.Errorf("%d duplicates, status: %+v", server.Duplicates(), s)
			}
		})
	}
}

// TestPartial: a server takes the series of a request one by one. Those that it refused for its rate come again, alone;
// those that it has do not, and those that it will never have are dropped.
func TestPartial(t *testing.T) {
	rules := strict()
	rules.Rate, rules.Burst = 1000, 20000
	clock := newClock()
	server := &pyroscope.Server{Rules: rules, Now: clock.Now}
	e := newExporter(t, export.Options{URL: serve(t, server).URL, Now: clock.Now, After: clock.After})
	run(t, e)
	iv := interval("cpu", clock.Now(), 20, 100)
	iv.Windows[7].Service = ""
	e.Add(iv)
	s := eventually(t, e, "a first part", func(s export.Status) bool { return s.Requests[export.OutcomePartial] > 0 })
	if s.Pushed == 0 || s.Pushed == 20 {
		t.Errorf("the first request is no part: %+v", s)
	}
	for !nothingWaits(e.Status()) {
		clock.advance(10 * time.Second)
		time.Sleep(time.Millisecond)
	}
	s = e.Status()
	if s.Pushed != 20 || dropped(s) != 0 || server.Duplicates() != 0 || len(server.Profiles()) != 20 {
		t.Errorf("%d profiles, %d duplicates, status: %+v", len(server.Profiles()), server.Duplicates(), s)
	}
}

func TestPartialRefusal(t *testing.T) {
	rules := strict()
	rules.Samples = 50
	server := &pyroscope.Server{Rules: rules}
	e := newExporter(t, export.Options{URL: serve(t, server).URL})
	iv := interval("cpu", time.Now(), 5, 10)
	iv.Windows[2] = interval("cpu", time.Now(), 1, 100).Windows[0]
	err := e.Push(t.Context(), iv)
	s := e.Status()
	if err == nil || s.Pushed != 4 || s.Dropped[export.DropRefused] != 1 || len(server.Profiles()) != 4 || server.Duplicates() != 0 {
		t.Errorf("%v, %d profiles, status: %+v", err, len(server.Profiles()), s)
	}
}

// TestPoison: a request that makes the server fail does not hold up the others.
func TestPoison(t *testing.T) {
	clock := newClock()
	server := &pyroscope.Server{Rules: strict(), Now: clock.Now}
	server.SetFault(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > 5000 {
			pyroscope.Status(500, "out of memory")(next, w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
	e := newExporter(t, export.Options{URL: serve(t, server).URL, Now: clock.Now, After: clock.After})
	run(t, e)
	e.Add(interval("cpu", clock.Now(), 50, 300))
	for range 5 {
		e.Add(interval("cpu", clock.Now(), 1, 1))
	}
	for e.Status().Pushed < 5 {
		clock.advance(time.Second)
		time.Sleep(time.Millisecond)
	}
	clock.advance(time.Hour)
	s := eventually(t, e, "the end of the poison", nothingWaits)
	if s.Pushed != 5 || s.Dropped[export.DropTooOld] != 50 {
		t.Errorf("status: %+v", s)
	}
}

// TestPushGivesUp: a one-shot push ends with its context and says what is missing.
func TestPushGivesUp(t *testing.T) {
	server := &pyroscope.Server{Rules: strict()}
	server.SetFault(pyroscope.Status(503, "starting"))
	e := newExporter(t, export.Options{URL: serve(t, server).URL, MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := e.Push(ctx, interval("cpu", time.Now(), 2, 1))
	if s := e.Status(); err == nil || s.Dropped[export.DropStopped] != 2 || s.Retried < 4 || !settled(s) {
		t.Errorf("%v; %+v", err, s)
	}
}

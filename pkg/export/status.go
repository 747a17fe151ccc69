package export

import (
	"log/slog"
	"maps"
	"sync"
	"time"
)

// A Status is what became of everything that was handed to an exporter. At rest, with nothing being encoded:
//
//	Added = Empty + Pushed + sum(Dropped) + Queued + Memory.Profiles + Spool.Profiles
//
// A profile is a window of an interval, or a piece of one that was split.
type Status struct {
	Target   string            `json:"target"` // "pyroscope" or "otlp"
	URL      string            `json:"url"`    // without its password
	Requests map[string]uint64 `json:"requests"`
	Added    uint64            `json:"added"` // those that a spool held at the start included
	Empty    uint64            `json:"empty"` // windows in which nothing happened
	Pushed   uint64            `json:"pushed"`
	Dropped  map[string]uint64 `json:"dropped"` // by reason
	Retried  uint64            `json:"retried"` // how often a profile had to be sent again
	// Ambiguous counts those of Retried whose reply was lost after the whole request had left: the server may have
	// them twice.
	Ambiguous     uint64     `json:"ambiguous"`
	DroppedLabels uint64     `json:"dropped_labels"` // beyond what a series may have
	Queued        uint64     `json:"queued"`         // profiles not encoded yet
	Memory        Waiting    `json:"memory"`
	Spool         Waiting    `json:"spool"`
	LastError     string     `json:"last_error,omitempty"`
	LastErrorTime *time.Time `json:"last_error_time,omitempty"`
	LastSuccess   *time.Time `json:"last_success,omitempty"`
}

// Waiting says what has not been sent yet.
type Waiting struct {
	Requests int        `json:"requests"` // files, for a spool
	Profiles int        `json:"profiles"`
	Bytes    int64      `json:"bytes"` // compressed
	Oldest   *time.Time `json:"oldest,omitempty"`
}

// counters are the part of Status that only grows. They are safe for concurrent use.
type counters struct {
	log *slog.Logger
	now func() time.Time

	mu sync.Mutex
	s  Status
}

func newCounters(target, url string, log *slog.Logger, now func() time.Time) *counters {
	c := &counters{log: log.With("target", target), now: now}
	c.s = Status{Target: target, URL: url, Requests: make(map[string]uint64), Dropped: make(map[string]uint64)}
	return c
}

func (c *counters) target() string { return c.s.Target } // never changes

// change runs f with the counters locked.
func (c *counters) change(f func(*Status)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.s)
}

// drop counts profiles that will never be sent, and says so.
func (c *counters) drop(reason string, profiles int, err error) {
	if profiles == 0 {
		return
	}
	c.change(func(s *Status) { s.Dropped[reason] += uint64(profiles) })
	if err != nil {
		c.fail(err)
	}
	c.log.Warn("profiles dropped", "reason", reason, "profiles", profiles, "err", err)
}

// fail remembers an error.
func (c *counters) fail(err error) {
	at := c.now()
	c.change(func(s *Status) { s.LastError, s.LastErrorTime = limit(err.Error(), 1024), &at })
}

// request counts one request by its verdict.
func (c *counters) request(r reply, v verdict) {
	outcome := OutcomeOK
	switch {
	case v.pushed > 0 && v.err != nil:
		outcome = OutcomePartial
	case v.again != nil:
		outcome = OutcomeRetry
	case v.pushed == 0:
		outcome = OutcomeRefused
	}
	at := c.now()
	c.change(func(s *Status) {
		s.Requests[outcome]++
		s.Pushed += uint64(v.pushed)
		if v.again != nil {
			s.Retried += uint64(v.again.profiles)
			if r.err != nil && r.sent {
				s.Ambiguous += uint64(v.again.profiles)
			}
		}
		if v.pushed > 0 {
			s.LastSuccess = &at
		}
	})
	if v.err != nil {
		c.fail(v.err)
	}
	for reason, n := range v.dropped {
		c.drop(reason, n, v.err)
	}
}

func (c *counters) status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.s
	s.Requests, s.Dropped = maps.Clone(s.Requests), maps.Clone(s.Dropped)
	return s
}

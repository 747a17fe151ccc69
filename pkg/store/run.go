package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// upkeepInterval is how often intervals are looked at when none is added.
const upkeepInterval = 10 * time.Second

// Run merges and removes intervals as they age, until ctx ends; it then returns nil. What fails, for want of room for
// example, is logged when the reason changes, counted, and tried again.
func (s *Store) Run(ctx context.Context) error {
	tick := time.NewTicker(upkeepInterval)
	defer tick.Stop()
	last := ""
	for {
		text := ""
		if err := s.maintain(ctx); err != nil {
			text = err.Error()
		}
		if text != last && text != "" {
			s.log.Error("cannot merge profiles of the history", "error", text)
		}
		last = text
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-s.kick:
		}
	}
}

// maintain does once what there is to do.
func (s *Store) maintain(ctx context.Context) error {
	s.upkeep.Lock()
	defer s.upkeep.Unlock()
	if s.isClosed() {
		return ErrClosed
	}
	s.expire()
	err := s.compact(ctx)
	if err != nil {
		s.count(func(st *Status) { st.Failed++ })
	}
	s.expire()
	return err
}

// expire removes what is too old, and the oldest while the store is too large.
func (s *Store) expire() {
	now := s.now()
	var gone []*interval
	s.mu.Lock()
	var all []*interval
	for _, list := range s.intervals {
		all = append(all, list...)
	}
	slices.SortFunc(all, func(a, b *interval) int { return a.end().Compare(b.end()) })
	for _, in := range all {
		reason := ""
		switch {
		case s.opt.MaxAge > 0 && now.Sub(in.end()) > s.opt.MaxAge:
			reason = "age"
		case s.opt.MaxBytes > 0 && s.status.Bytes > s.opt.MaxBytes:
			reason = "size"
		default:
			continue
		}
		s.forget(in)
		s.status.Expired[reason]++
		gone = append(gone, in)
	}
	if len(gone) > 0 {
		s.forgetSeries()
	}
	s.mu.Unlock()
	s.retire(gone)
}

// forgetSeries drops the series that are in no interval any more: pods come and go. The caller holds s.mu.
func (s *Store) forgetSeries() {
	clear(s.known)
	for kind, list := range s.intervals {
		for _, in := range list {
			for _, f := range in.files {
				s.known[kind+"\x00"+f.series.key] = f.series
			}
		}
	}
}

// isResource tells whether an error is of this process or machine, and says nothing of the file.
func isResource(err error) bool {
	for _, e := range []error{unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.EINTR, unix.EAGAIN} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

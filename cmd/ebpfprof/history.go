package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/config"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
	"github.com/ebpfprof/ebpfprof/pkg/server"
	"github.com/ebpfprof/ebpfprof/pkg/store"
)

// history is the store as the server asks for it. Without a store it knows nothing.
type history struct{ store *store.Store }

// Series lists the series of a range.
func (h history) Series(_ context.Context, kind string, from, to time.Time) ([]profile.Series, error) {
	if h.store == nil {
		return nil, nil
	}
	var list []profile.Series
	for _, s := range h.store.Series(kind, from, to) {
		list = append(list, s.Series)
	}
	return list, nil
}

// Timeline sums parts of a range.
func (h history) Timeline(_ context.Context, q server.TimelineQuery) ([]server.TimelineBucket, error) {
	buckets := make([]server.TimelineBucket, q.Buckets)
	if h.store == nil {
		return buckets, nil
	}
	t, err := h.store.Timeline(q.Kind, q.Service, q.From, q.To, q.Buckets)
	if err != nil {
		return nil, err
	}
	for i := range min(len(buckets), len(t.Buckets)) {
		b := t.Buckets[i]
		buckets[i] = server.TimelineBucket{Value: b.Value, Lost: b.Lost, Covered: b.Covered > 0}
	}
	return buckets, nil
}

// Profile merges a range.
func (h history) Profile(ctx context.Context, q server.Query) (*pprof.Profile, server.Coverage, error) {
	if h.store == nil {
		return nil, server.Coverage{}, nil
	}
	query := store.Query{Kind: q.Kind, Service: q.Service, From: q.From, To: q.To}
	for name, value := range q.Labels {
		query.Labels = append(query.Labels, store.Matcher{Label: name, Op: "=", Value: value})
	}
	r, err := h.store.Profile(ctx, query)
	if err != nil && !errors.Is(err, store.ErrNoData) {
		return nil, server.Coverage{}, err
	}
	if r == nil {
		return nil, server.Coverage{}, nil
	}
	return r.Profile, server.Coverage{
		From: r.From, To: r.To, Covered: r.Covered, Windows: r.Windows, Lost: r.Lost, Skipped: r.Skipped,
	}, nil
}

// storeOptions translates: in a configuration 0 is no bound, in the store it is the default.
func storeOptions(c config.Store, log *slog.Logger) store.Options {
	o := store.Options{Dir: c.Dir, MaxAge: time.Duration(c.RetentionAge), MaxBytes: int64(c.RetentionSize), Log: log}
	if o.MaxAge == 0 {
		o.MaxAge = -1
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = -1
	}
	return o
}

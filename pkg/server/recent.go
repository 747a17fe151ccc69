package server

import (
	"context"
	"sync"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// A recent keeps the last batches of one kind, so that a page which opens shows a heatmap of the past at once. It is a
// reader of the feed like others, bounded in time and in bytes; the oldest go first.
type recent struct {
	keep  time.Duration
	limit int // bytes

	mu      sync.Mutex
	batches []*profile.LiveBatch // oldest first
	bytes   int
	stacks  map[*profile.LiveStack]int // how many samples of batches refer to each
}

func newRecent(keep time.Duration, limit int) *recent {
	return &recent{keep: keep, limit: limit, stacks: map[*profile.LiveStack]int{}}
}

// Sizes of what batches consist of, about.
const (
	batchBytes    = 256
	sampleBytes   = 160
	locationBytes = 128
	frameBytes    = 96
)

func stackBytes(s *profile.LiveStack) int {
	n := len(s.Locations) * locationBytes
	for i := range s.Locations {
		n += len(s.Locations[i].Frames) * frameBytes
	}
	return n
}

// add takes a batch and forgets what is too old or too much.
func (r *recent) add(b *profile.LiveBatch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.batches = append(r.batches, b)
	r.count(b, 1)
	drop := 0
	for drop < len(r.batches) && (r.bytes > r.limit || r.batches[drop].End.Before(b.End.Add(-r.keep))) {
		r.count(r.batches[drop], -1)
		r.batches[drop] = nil // the array is still there
		drop++
	}
	r.batches = r.batches[drop:]
}

// count enters what a batch holds, or takes it out. Stacks are held once, however many samples have them.
func (r *recent) count(b *profile.LiveBatch, sign int) {
	r.bytes += sign * (batchBytes + len(b.Samples)*sampleBytes)
	for i := range b.Samples {
		s := b.Samples[i].Stack
		if s == nil {
			continue
		}
		if sign > 0 && r.stacks[s] == 0 {
			r.bytes += stackBytes(s)
		}
		if r.stacks[s] += sign; r.stacks[s] == 0 {
			delete(r.stacks, s)
			r.bytes -= stackBytes(s)
		}
	}
}

// since returns the batches that reach beyond a time, oldest first.
func (r *recent) since(t time.Time) []*profile.LiveBatch {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, b := range r.batches {
		if b.End.After(t) {
			return append([]*profile.LiveBatch{}, r.batches[i:]...)
		}
	}
	return nil
}

// retryRecent is how long a kind that cannot be read now is left alone: it may not be sampled yet.
const retryRecent = time.Second

// run reads a kind until ctx ends, or the feed does.
func (r *recent) run(ctx context.Context, feed Feed, kind string) {
	for {
		if batches, cancel, err := feed.Subscribe(kind); err == nil {
			ended := r.read(ctx, batches)
			cancel()
			if ended {
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(retryRecent):
		}
	}
}

// read returns true when ctx ended.
func (r *recent) read(ctx context.Context, batches <-chan *profile.LiveBatch) bool {
	for {
		select {
		case <-ctx.Done():
			return true
		case b, ok := <-batches:
			if !ok {
				return false
			}
			r.add(b)
		}
	}
}

// keepRecent starts to keep the last batches of every kind that is sampled. It returns when ctx ends.
func (s *Server) keepRecent(ctx context.Context) {
	if s.o.Limits.Recent < 0 || s.o.Feed == nil {
		return
	}
	var readers sync.WaitGroup
	defer readers.Wait()
	known := map[string]bool{}
	for {
		for _, k := range s.o.Status().Kinds {
			if k.Active && !known[k.Name] {
				known[k.Name] = true
				readers.Go(func() { s.recentOf(k.Name).run(ctx, s.o.Feed, k.Name) })
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(retryRecent):
		}
	}
}

// recentOf returns what is kept of a kind.
func (s *Server) recentOf(kind string) *recent {
	s.recentMu.Lock()
	defer s.recentMu.Unlock()
	r := s.recents[kind]
	if r == nil {
		r = newRecent(s.o.Limits.Recent, s.o.Limits.RecentBytes)
		s.recents[kind] = r
	}
	return r
}

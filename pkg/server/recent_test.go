package server

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

const quarter = 250 * time.Millisecond

// TestSince: a reader that asks for the past is told it first, once, and then what comes.
func TestSince(t *testing.T) {
	f := newFixture(t)
	stack := liveStackOf("main", "serve")
	past := f.recentOf("cpu")
	batch := func(i int) *profile.LiveBatch {
		at := time.Duration(i) * quarter
		return liveBatchOf(at, 3, 1, liveSampleOf("nginx", at, stack, 2))
	}
	for i := range 8 {
		past.add(batch(i))
	}
	c, next := openLive(t, f, serveTest(t, f)+"/api/v1/live?since="+fmt.Sprint(now.Add(time.Second).Unix()))
	next()
	if want := now.Add(time.Second).UnixMilli(); c.hello.Since != want {
		t.Errorf("the past begins at %d, want %d", c.hello.Since, want)
	}
	f.feed.send(batch(7)) // which was kept, too
	f.feed.send(batch(8))
	for range 5 {
		next()
	}
	if len(c.counts) != 5 || c.totals != (liveTotals{Fired: 15, Lost: 5}) || len(c.types) != 6 {
		t.Errorf("counts %v, totals %+v, messages %v", c.counts, c.totals, c.types)
	}
	for key, n := range c.counts {
		if n[0] != 2 {
			t.Errorf("%s was told %v", key, n)
		}
	}
}

// TestNoPast: who does not ask is told nothing of the past, nor who asks where none is kept.
func TestNoPast(t *testing.T) {
	f := newFixture(t)
	url := serveTest(t, f)
	for _, query := range []string{"", "?since=now-5m"} {
		if query == "" {
			f.recentOf("cpu").add(liveBatchOf(0, 1, 0, liveSampleOf("a", 0, liveStackOf("f"), 1)))
		} else {
			f.recents = map[string]*recent{}
		}
		c, next := openLive(t, f, url+"/api/v1/live"+query)
		next()
		f.feed.send(liveBatchOf(time.Second, 1, 0))
		next()
		if c.hello.Since != 0 || len(c.counts) != 0 || len(c.types) != 2 {
			t.Errorf("%q: hello %+v, %v", query, c.hello, c.types)
		}
	}
}

// TestRecentIsBounded: in time and in bytes, and what is forgotten is let go of.
func TestRecentIsBounded(t *testing.T) {
	r := newRecent(10*time.Second, 100_000)
	for i := range 1000 {
		at := time.Duration(i) * quarter
		r.add(liveBatchOf(at, 1, 0, liveSampleOf("a", at, liveStackOf("main", fmt.Sprint(i)), 1)))
		if r.bytes > 100_000 {
			t.Fatalf("%d bytes are kept", r.bytes)
		}
	}
	if n := len(r.batches); n != 41 || len(r.stacks) != n {
		t.Errorf("%d batches and %d stacks of ten seconds", n, len(r.stacks))
	}
	big := liveBatchOf(time.Hour, 1, 0)
	for range 10_000 {
		big.Samples = append(big.Samples, liveSampleOf("a", time.Hour, liveStackOf("f"), 1))
	}
	r.add(big)
	if len(r.batches) != 0 || r.bytes != 0 || len(r.stacks) != 0 {
		t.Errorf("of a batch that is too big %d bytes and %d stacks are kept", r.bytes, len(r.stacks))
	}
}

// TestKeepRecent: while the server runs it keeps what is sampled, also of a feed that comes later, and ends.
func TestKeepRecent(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { f.keepRecent(ctx); close(done) }()
	<-f.feed.joined
	f.feed.send(liveBatchOf(0, 1, 0, liveSampleOf("a", 0, liveStackOf("f"), 1)))
	for len(f.recentOf("cpu").since(time.Time{})) == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-done
	if f.feed.count() != 0 {
		t.Error("it still reads the feed")
	}
	off := newFixture(t, func(o *Options) { o.Limits.Recent = -1 })
	off.keepRecent(t.Context()) // returns at once
}

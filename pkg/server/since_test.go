package server

import (
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
	batch := func(i int) *profile.LiveBatch {
		at := time.Duration(i) * quarter
		return liveBatchOf(at, 3, 1, liveSampleOf("nginx", at, stack, 2))
	}
	for i := range 8 {
		f.feed.past = append(f.feed.past, batch(i))
	}
	c, next := openLive(t, f, serveTest(t, f)+"/api/v1/live?since="+fmt.Sprint(now.Add(time.Second).Unix()))
	next()
	if want := now.Add(time.Second).UnixMilli(); c.hello.Since != want {
		t.Errorf("the past begins at %d, want %d", c.hello.Since, want)
	}
	f.feed.send(batch(7)) // which was kept, too
	after := batch(8)
	after.Missed = 3 // while the past was told, which had them
	f.feed.send(after)
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
			f.feed.past = []*profile.LiveBatch{liveBatchOf(0, 1, 0, liveSampleOf("a", 0, liveStackOf("f"), 1))}
		} else {
			f.feed.past = nil
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

// TestSlowPast: names that are long in coming leave no reader without a word.
func TestSlowPast(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Limits.Heartbeat = time.Millisecond })
	f.feed.naming = make(chan struct{})
	f.feed.past = []*profile.LiveBatch{liveBatchOf(0, 3, 1, liveSampleOf("nginx", 0, liveStackOf("f"), 2))}
	c, next := openLive(t, f, serveTest(t, f)+"/api/v1/live?since=now-5m")
	for len(c.types) < 3 {
		if !next() {
			t.Fatal("stream ended")
		}
	}
	if fmt.Sprint(c.types) != "[hello heartbeat heartbeat]" || c.hello.Since != 0 {
		t.Errorf("before there are names: %v, %+v", c.types, c.hello)
	}
	close(f.feed.naming)
	for c.types[len(c.types)-1] != "batch" {
		if !next() {
			t.Fatal("stream ended")
		}
	}
	if len(c.counts) != 1 {
		t.Errorf("counts %v", c.counts)
	}
}

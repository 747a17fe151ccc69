package agent

import (
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// The past has everything that happened without a reader, over the end of a generation, named when it is asked for.
func TestPast(t *testing.T) {
	s := newScript()
	c, end := collect(t, s, CollectorOptions{Identify: servicesByPID})
	for i := range 100 {
		s.do(func(h loader.Handler) {
			x := threadSample(1+i%3, 1)
			x.End, x.User = loader.EndTruncated, []uint64{uint64(0x1000 + i%5)}
			s.sample(h, x)
		})
		if i == 10 {
			s.lose(5)
		}
		if i == 50 {
			c.Reidentify() // a generation ends
		}
		s.ticks(250 * time.Millisecond)
	}
	end()
	sent := make(chan *profile.LiveBatch, 200)
	for b := range c.Past("cpu", time.Time{}) {
		sent <- b
	}
	close(sent)
	count, fired, lost, _, stacks := tally(t, sent)
	if count != 100 || lost != 5 || fired != 105 || len(stacks) != 10 {
		t.Errorf("%d samples, %d lost, %d fired, %d stacks", count, lost, fired, len(stacks))
	}
	if n := c.Stats().Kinds[0].Live.Batches; n != 0 {
		t.Errorf("%d batches were named without a reader", n)
	}
	var all []*profile.LiveBatch
	for b := range c.Past("cpu", time.Time{}) {
		all = append(all, b)
	}
	n := 0
	for range c.Past("cpu", all[len(all)-3].End) {
		n++
	}
	if n != 2 {
		t.Errorf("%d batches after the last but two", n)
	}
	for range c.Past("page_faults", time.Time{}) {
		t.Error("a kind that is not collected has a past")
	}
}

// What is kept is bounded in time and bytes, generations that have ended included.
func TestPastIsBounded(t *testing.T) {
	at := time.Unix(1000, 0)
	add := func(p *past, g *generation, n int) {
		at = at.Add(250 * time.Millisecond)
		p.add(&rawBatch{view: &view{gen: g, nodes: make([]node, 100)}, samples: make([]rawSample, n), end: at})
	}
	p := &past{keep: 10 * time.Second, limit: 1 << 20}
	g := &generation{}
	for range 100 {
		add(p, g, 1)
	}
	if n := len(p.since(time.Time{})); n != 41 || p.bytes != n*(rawBatchBytes+rawSampleBytes) {
		t.Errorf("%d batches of ten seconds, %d bytes", n, p.bytes)
	}
	for range 20 {
		for range 4 {
			add(p, &generation{}, 1000)
			if p.bytes > p.limit {
				t.Fatalf("%d bytes", p.bytes)
			}
		}
	}
	if n := len(p.since(time.Time{})); n < 20 || n > 27 {
		t.Errorf("%d batches of 40 kB in 1 MiB", n)
	}
	add(p, &generation{}, 100_000)
	if n := len(p.since(time.Time{})); n != 0 || p.bytes != 0 || len(p.parts) != 0 {
		t.Errorf("of a batch that is too big %d batches and %d bytes are kept", n, p.bytes)
	}
	off := &past{keep: -1, limit: 1 << 20}
	add(off, g, 1)
	if len(off.parts) != 0 {
		t.Error("something is kept where nothing is to be")
	}
}

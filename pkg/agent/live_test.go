package agent

import (
	"errors"
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// tally reads batches until the channel is closed.
func tally(t *testing.T, in <-chan *profile.LiveBatch) (count, fired, lost, missed uint64, stacks map[*profile.LiveStack]int) {
	t.Helper()
	stacks = map[*profile.LiveStack]int{}
	var last time.Time
	for b := range in {
		var n uint64
		for _, s := range b.Samples {
			n += uint64(s.Count)
			stacks[s.Stack]++
			if !s.Bucket.Equal(s.Bucket.Truncate(profile.LiveBucket)) {
				t.Errorf("bucket at %s", s.Bucket)
			}
		}
		if b.Fired != n+b.Lost {
			t.Errorf("%d fired, %d in samples, %d lost", b.Fired, n, b.Lost)
		}
		if b.Start.Before(last) || b.End.Before(b.Start) {
			t.Errorf("batch from %s to %s after one until %s", b.Start, b.End, last)
		}
		last = b.End
		count, fired, lost, missed = count+n, fired+b.Fired, lost+b.Lost, missed+b.Missed
	}
	return count, fired, lost, missed, stacks
}

// A reader that keeps up gets everything, over the ends of windows and generations.
func TestLiveReaderGetsEverything(t *testing.T) {
	s, k := newScript(), newKeeper()
	c, end := collect(t, s, CollectorOptions{Sinks: []Sink{k.sink()}, Identify: servicesByPID})
	in, _, err := c.Subscribe("cpu")
	if err != nil {
		t.Fatal(err)
	}
	type sums struct {
		count, fired, lost, missed uint64
		stacks                     map[*profile.LiveStack]int
	}
	got := make(chan sums)
	go func() {
		var x sums
		x.count, x.fired, x.lost, x.missed, x.stacks = tally(t, in)
		got <- x
	}()
	s.ticks(250 * time.Millisecond) // the reader counts from here
	for i := range 200 {
		s.do(func(h loader.Handler) {
			for j := range 10 {
				x := threadSample(1+j, 1+j)
				x.End, x.User = loader.EndTruncated, []uint64{uint64(0x1000 + j%5)}
				s.sample(h, x)
			}
		})
		if i%50 == 25 {
			s.lose(5)
		}
		if i == 100 {
			c.Reidentify() // a generation ends
		}
		s.ticks(250 * time.Millisecond)
		for len(c.live[0].raw) > 0 {
			time.Sleep(50 * time.Microsecond)
		}
	}
	if n := c.Stats().Sizes.Generations; n != 2 {
		t.Errorf("%d generations, want 2", n)
	}
	end()
	x := <-got
	if x.count != s.delivered || x.lost != s.lost || x.fired != s.delivered+s.lost || x.missed != 0 {
		t.Errorf("%d samples of %d, %d lost of %d, %d missed", x.count, s.delivered, x.lost, s.lost, x.missed)
	}
	if len(x.stacks) != 10 {
		t.Errorf("%d stacks, want five of each generation", len(x.stacks))
	}
	for st := range x.stacks {
		if len(st.Locations) != 2 || st.Reason != "truncated" || st.Locations[1].Frames[0].Name != "[truncated]" {
			t.Errorf("stack %+v", st)
		}
	}
	if _, _, err := c.Subscribe("cpu"); !errors.Is(err, ErrEnded) {
		t.Errorf("subscribing after the end: %v", err)
	}
}

// A reader that does not read misses batches, is told how many, and costs the others nothing.
func TestLiveReaderSlow(t *testing.T) {
	s := newScript()
	c, end := collect(t, s, CollectorOptions{Identify: servicesByPID})
	slow, leave, err := c.Subscribe("cpu")
	if err != nil {
		t.Fatal(err)
	}
	fast, _, err := c.Subscribe("cpu")
	if err != nil {
		t.Fatal(err)
	}
	const batches = 30
	for range batches {
		s.do(func(h loader.Handler) { s.sample(h, threadSample(1, 1)) })
		s.ticks(250 * time.Millisecond)
		if b := <-fast; len(b.Samples) != 1 || b.Missed != 0 {
			t.Fatalf("batch %+v", b)
		}
	}
	for range readerBatches {
		if b := <-slow; b.Missed != 0 {
			t.Errorf("%d missed of those that waited", b.Missed)
		}
	}
	s.ticks(250 * time.Millisecond)
	if b := <-slow; b.Missed != batches-readerBatches {
		t.Errorf("%d missed, want %d", b.Missed, batches-readerBatches)
	}
	leave()
	leave()
	for range slow { // it is closed
	}
	end()
	if n := c.Stats().Kinds[0].Live; n.Missed != batches-readerBatches || n.Readers != 0 {
		t.Errorf("statistics %+v", n)
	}
}

func TestSubscribeRefuses(t *testing.T) {
	c, err := NewCollector(newScript(), CollectorOptions{Kinds: KindsOf(loader.Event{Name: "page-faults", Period: 1})})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Subscribe("cpu"); err == nil {
		t.Error("a kind that is not collected has a feed")
	}
	for i := range maxReaders + 1 {
		_, _, err := c.Subscribe("page_faults")
		if (err != nil) != (i == maxReaders) {
			t.Errorf("reader %d: %v", i, err)
		}
	}
}

// Without a reader nothing is noted.
func TestLiveCostsNothingUnread(t *testing.T) {
	s := newScript()
	c, end := collect(t, s, CollectorOptions{Identify: servicesByPID})
	_, leave, err := c.Subscribe("cpu")
	if err != nil {
		t.Fatal(err)
	}
	leave()
	for range 10 {
		s.do(func(h loader.Handler) { s.sample(h, threadSample(1, 1)) })
		s.ticks(250 * time.Millisecond)
	}
	end()
	if n := c.Stats().Kinds[0].Live.Batches; n > 1 { // one for the moment in which there was a reader
		t.Errorf("%d batches without a reader", n)
	}
}

package agent

import (
	"context"
	"sync/atomic"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// A Sink takes the intervals of a Collector.
type Sink struct {
	Name string // in Stats
	// Put takes an interval that it must not change. It is called on a goroutine of the sink's own, one call at a time.
	// While the sink is slow a few intervals wait, and then are dropped. ctx ends when the collector has no more time.
	Put func(ctx context.Context, i *profile.Interval) error
}

// sinkQueueLength is how many intervals of each kind wait for a sink that is slow.
const sinkQueueLength = 3

// A sinkQueue is what waits for a sink.
type sinkQueue struct {
	Sink
	c       *Collector
	queue   chan *profile.Interval
	done    chan struct{}
	waiting atomic.Int64 // in the queue or being taken
}

func newSinkQueue(s Sink, c *Collector) *sinkQueue {
	return &sinkQueue{Sink: s, c: c, queue: make(chan *profile.Interval, sinkQueueLength*len(c.kinds)), done: make(chan struct{})}
}

// offer never blocks.
func (s *sinkQueue) offer(i *profile.Interval) {
	s.waiting.Add(1)
	select {
	case s.queue <- i:
	default:
		s.waiting.Add(-1)
		s.count(func(t *SinkStats) { t.Dropped++ })
		s.c.log.Warn("sink is slow, an interval was dropped", "sink", s.Name, "kind", i.Kind, "start", i.Start)
	}
}

// run gives the sink what is in the queue until it is closed.
func (s *sinkQueue) run(ctx context.Context) {
	defer close(s.done)
	failing := false
	for i := range s.queue {
		err := context.Cause(ctx)
		if err == nil {
			err = s.Put(ctx, i)
		}
		if s.waiting.Add(-1) < 0 {
			continue // given up, and counted
		}
		switch {
		case err != nil:
			s.count(func(t *SinkStats) { t.Failed++ })
			if !failing {
				s.c.log.Error("sink fails", "sink", s.Name, "kind", i.Kind, "error", err)
			}
		default:
			s.count(func(t *SinkStats) { t.Delivered++ })
			if failing {
				s.c.log.Info("sink works again", "sink", s.Name)
			}
		}
		failing = err != nil
	}
}

// abandon counts what the sink did not take in time.
func (s *sinkQueue) abandon() {
	if n := s.waiting.Swap(0); n > 0 {
		s.count(func(t *SinkStats) { t.Dropped += uint64(n) })
		s.c.log.Error("sink did not end in time", "sink", s.Name, "intervals", n)
	}
}

func (s *sinkQueue) count(f func(*SinkStats)) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	t := s.c.stats.Sinks[s.Name]
	f(&t)
	s.c.stats.Sinks[s.Name] = t
}

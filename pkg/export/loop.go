package export

import (
	"context"
	"time"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

// encodeAll turns queued intervals into batches until the end, and then those that are still queued, for as long as
// there is time. It never waits for a server.
func (e *Exporter) encodeAll() {
	defer close(e.encoded)
	for ended := false; ; {
		var iv *prof.Interval
		if !ended {
			select {
			case iv = <-e.queue:
			case <-e.quit:
				ended = true
				continue
			}
		} else {
			select {
			case iv = <-e.queue:
			default:
				return
			}
		}
		if ended && e.sendTime() <= 0 {
			e.counters.drop(DropStopped, len(iv.Windows), nil)
		} else {
			e.encode(iv, e.outbox.put)
		}
		e.mu.Lock()
		e.queued -= len(iv.Windows)
		e.mu.Unlock()
	}
}

func (e *Exporter) encode(iv *prof.Interval, emit func(batch)) tally {
	at := startOf(iv.Start, iv.Duration, e.o.Now(), e.o.MaxAge)
	t := e.protocol.encode(iv, at, emit)
	e.counters.change(func(s *Status) {
		s.Added += uint64(t.pieces)
		s.Empty += uint64(t.empty)
		s.DroppedLabels += uint64(t.labels)
	})
	for reason, n := range t.dropped {
		e.counters.drop(reason, n, t.err)
	}
	return t
}

// sendAll sends one batch after the other until the end. After it, the first failure is the last try.
func (e *Exporter) sendAll(ctx context.Context) {
	pause := backoff{min: e.o.MinBackoff, max: e.o.MaxBackoff}
	for ctx.Err() == nil {
		e.outbox.expire(e.o.Now().Add(-e.o.MaxAge))
		held, b, err := e.outbox.take()
		if held == nil && err == nil {
			if !e.idle() {
				return
			}
			continue
		}
		var wait time.Duration
		if held != nil {
			r := e.sender.post(ctx, b.body)
			v := e.protocol.judge(r, b)
			e.counters.request(r, v)
			e.outbox.settle(held, v)
			if v.again == nil {
				pause.reset()
				continue
			}
			wait, err = v.wait, v.err
		}
		wait = pause.next(wait)
		e.o.Log.Info("push failed, trying again", "target", e.counters.target(), "pause", wait, "err", err)
		select {
		case <-e.o.After(wait):
		case <-e.quit:
			return
		}
	}
}

// idle waits until there may be something to send. It returns false when nothing will come any more.
func (e *Exporter) idle() bool {
	select {
	case <-e.outbox.wake:
		return true
	case <-e.encoded:
	}
	select {
	case <-e.outbox.wake:
		return true
	default:
		return false
	}
}

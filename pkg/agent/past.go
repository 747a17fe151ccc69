package agent

import (
	"iter"
	"slices"
	"sync"
	"time"
	"unsafe"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// A past keeps the last batches of a feed in the numbers of their generations: 40 bytes a sample, and no names. It is
// bounded in time and in bytes; the oldest go first. The zero value keeps nothing.
type past struct {
	keep  time.Duration
	limit int // bytes

	mu    sync.Mutex // guards what follows
	parts []*pastPart
	bytes int
}

// A pastPart is what is kept of one generation. One view reads all its batches, as a later one sees all that earlier ones
// do; each batch's own would keep arrays that have been outgrown.
type pastPart struct {
	view    *view
	batches []*rawBatch // without a view, oldest first
}

// Sizes of what is kept.
const (
	rawSampleBytes = int(unsafe.Sizeof(rawSample{}))
	rawBatchBytes  = int(unsafe.Sizeof(rawBatch{}))
)

// viewBytes is what a generation that has ended is kept for.
func viewBytes(v *view) int {
	const place, seen = 8, 8
	return len(v.nodes)*(int(unsafe.Sizeof(node{}))+place+seen) + len(v.stacks)*int(unsafe.Sizeof(stack{})) +
		len(v.processes)*int(unsafe.Sizeof(process{}))
}

// add takes a batch, of which nothing may be changed any more, and forgets what is too old or too much.
func (p *past) add(b *rawBatch) {
	if p.keep <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.parts)
	switch {
	case n > 0 && p.parts[n-1].view.gen == b.view.gen:
		p.parts[n-1].view = b.view
	case len(b.samples) > 0 || b.lost+b.overflowed > 0:
		if n > 0 {
			p.bytes += viewBytes(p.parts[n-1].view) // only the past needs it now
		}
		p.parts = append(p.parts, &pastPart{view: b.view})
	}
	if len(b.samples) > 0 || b.lost+b.overflowed > 0 {
		last := p.parts[len(p.parts)-1]
		kept := *b
		kept.view, kept.samples = nil, slices.Clip(slices.Clone(b.samples))
		last.batches = append(last.batches, &kept)
		p.bytes += rawBatchBytes + len(kept.samples)*rawSampleBytes
	}
	p.forget(b.end.Add(-p.keep))
}

func (p *past) forget(until time.Time) {
	for len(p.parts) > 0 {
		part := p.parts[0]
		drop := 0
		for drop < len(part.batches) && (p.bytes > p.limit || part.batches[drop].end.Before(until)) {
			p.bytes -= rawBatchBytes + len(part.batches[drop].samples)*rawSampleBytes
			part.batches[drop] = nil // the array is still there
			drop++
		}
		part.batches = part.batches[drop:]
		if len(part.batches) > 0 {
			return
		}
		if len(p.parts) > 1 {
			p.bytes -= viewBytes(part.view)
		}
		p.parts = slices.Delete(p.parts, 0, 1)
	}
}

// since returns the batches that reach beyond a time, oldest first.
func (p *past) since(t time.Time) []*rawBatch {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []*rawBatch
	for _, part := range p.parts {
		for _, b := range part.batches {
			if b.end.After(t) {
				whole := *b
				whole.view = part.view
				out = append(out, &whole)
			}
		}
	}
	return out
}

// Past yields what happened of a kind after a time, oldest first, as far as it is kept (CollectorOptions.Past); nothing of
// a kind that is not collected. Batches are named one by one, when they are asked for. What Subscribe delivers later than
// the last of them follows it.
func (c *Collector) Past(kind string, since time.Time) iter.Seq[*profile.LiveBatch] {
	return func(yield func(*profile.LiveBatch) bool) {
		at := slices.IndexFunc(c.kinds, func(k Kind) bool { return k.Name() == kind })
		if at < 0 {
			return
		}
		batches := c.live[at].past.since(since)
		for i, b := range batches {
			batches[i] = nil
			if !yield(c.liveBatch(c.kinds[at], b)) {
				return
			}
		}
	}
}

package agent

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

const (
	maxReaders    = 64
	readerBatches = 8 // that wait for a reader: two seconds
	// rawBatches wait to be named: naming may be busy with the first window for seconds.
	rawBatches = 16
	// maxRaw bounds the samples between two ticks; more are lost to live readers, and counted.
	maxRaw = 64 << 10
)

// ErrEnded means that the collector has stopped.
var ErrEnded = errors.New("collector has stopped")

// A feed gives readers what happens of one kind as it happens, and keeps the last minutes of it for those to come.
// Nothing is named without a reader.
type feed struct {
	c    *Collector
	kind int
	on   atomic.Bool
	past past

	// Of the reading goroutine.
	samples  []rawSample
	overflow uint64 // events without room in samples
	from     time.Duration
	fromWall time.Time
	lost     uint64 // as last counted
	counting bool   // lost is of from

	raw  chan *rawBatch
	done chan struct{}

	mu      sync.Mutex
	readers map[*liveReader]bool
	ended   bool
}

// A rawSample is a LiveSample in the numbers of a generation.
type rawSample struct {
	at time.Duration // CLOCK_MONOTONIC
	sampleKey
	events, weight uint64
}

// A rawBatch is a LiveBatch without names.
type rawBatch struct {
	view       *view
	samples    []rawSample
	start, end time.Time
	base       time.Time // the wall's time when the monotonic clock was 0
	lost       uint64
	overflowed uint64
}

type liveReader struct {
	out    chan *profile.LiveBatch
	missed uint64
}

// LiveStats counts what live readers were given.
type LiveStats struct {
	Readers int
	Batches uint64 // made
	Missed  uint64 // batches that a reader was too slow for, or that were not named in time
}

func newFeed(c *Collector, kind int) *feed {
	return &feed{
		c: c, kind: kind, raw: make(chan *rawBatch, rawBatches), done: make(chan struct{}), readers: map[*liveReader]bool{},
		past: past{keep: c.options.Past, limit: c.options.PastBytes},
	}
}

// Subscribe returns a channel of what happens of a kind from now on, about four batches a second, and a function that ends it. The
// channel has room for two seconds; a reader that is slower misses batches and is told how many. It is closed when the
// function is called and when the collector ends.
//
// Errors: a kind that is not collected, too many readers, ErrEnded.
func (c *Collector) Subscribe(kind string) (<-chan *profile.LiveBatch, func(), error) {
	at := slices.IndexFunc(c.kinds, func(k Kind) bool { return k.Name() == kind })
	if at < 0 {
		return nil, nil, fmt.Errorf("subscribe to %q: it is not collected", kind)
	}
	f := c.live[at]
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return nil, nil, fmt.Errorf("subscribe to %s: %w", kind, ErrEnded)
	}
	if len(f.readers) >= maxReaders {
		return nil, nil, fmt.Errorf("subscribe to %s: there are %d readers already", kind, maxReaders)
	}
	r := &liveReader{out: make(chan *profile.LiveBatch, readerBatches)}
	f.readers[r] = true
	f.on.Store(true)
	return r.out, func() { f.leave(r) }, nil
}

func (f *feed) leave(r *liveReader) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.readers[r] {
		delete(f.readers, r)
		close(r.out)
	}
	f.on.Store(len(f.readers) > 0)
}

func (f *feed) readerCount() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.readers)
}

// wanted reports whether samples are to be noted.
func (f *feed) wanted() bool { return f.past.keep > 0 || f.on.Load() }

// add notes a sample. It is called while they are wanted.
func (f *feed) add(at time.Duration, key sampleKey, events, weight uint64) {
	if len(f.samples) >= maxRaw {
		f.overflow += events
		return
	}
	f.samples = append(f.samples, rawSample{at, key, events, weight})
}

// begin is the start of the first batch.
func (f *feed) begin() {
	f.from, f.fromWall = f.c.schedule.clock()
	f.counting = f.wanted()
}

// tick hands what was noted to the past and, if there are readers, to the goroutine that names.
func (f *feed) tick() {
	on := f.wanted()
	if on || len(f.samples) > 0 {
		f.send()
	} else {
		f.from, f.fromWall = f.c.schedule.clock()
	}
	f.counting = on
}

// flush is tick before a generation ends.
func (f *feed) flush() {
	if len(f.samples) > 0 {
		f.send()
	}
}

// send makes a batch that begins where the last ended, unless the wall's clock was set meanwhile.
func (f *feed) send() {
	c := f.c
	mono, wall := c.schedule.clock()
	start := wall.Add(f.from - mono)
	if start.Sub(f.fromWall).Abs() < slewLimit {
		start = f.fromWall
	}
	f.from, f.fromWall = mono, wall
	b := &rawBatch{
		view: c.gen.view(c.objects), samples: f.samples, start: start, end: wall,
		base: wall.Add(-mono), overflowed: f.overflow,
	}
	if counters, err := c.kernel.Counters(f.kind); err == nil {
		if f.counting {
			b.lost = counters.LostTotal() - f.lost
		}
		f.lost = counters.LostTotal()
	}
	f.past.add(b)
	f.overflow = 0
	if !f.on.Load() {
		f.samples = f.samples[:0] // the past has a copy
		return
	}
	f.samples = make([]rawSample, 0, len(f.samples)+len(f.samples)/4)
	select {
	case f.raw <- b:
	default:
		f.miss()
	}
}

// miss counts a batch that no reader gets.
func (f *feed) miss() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for r := range f.readers {
		r.missed++
	}
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	f.c.stats.Kinds[f.kind].Live.Missed++
}

// end is called by the reading goroutine when nothing comes any more.
func (f *feed) end() { close(f.raw) }

// run names batches and gives them to the readers until the end.
func (f *feed) run() {
	defer close(f.done)
	for b := range f.raw {
		f.publish(f.c.liveBatch(f.c.kinds[f.kind], b))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	for r := range f.readers {
		delete(f.readers, r)
		close(r.out)
	}
	f.on.Store(false)
}

func (f *feed) publish(b *profile.LiveBatch) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var missed uint64
	for r := range f.readers {
		mine := b
		if r.missed > 0 {
			told := *b
			told.Missed = r.missed
			mine = &told
		}
		select {
		case r.out <- mine:
			r.missed = 0
		default:
			r.missed++
			missed++
		}
	}
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	f.c.stats.Kinds[f.kind].Live.Batches++
	f.c.stats.Kinds[f.kind].Live.Missed += missed
}

package goheap

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// A ContentionRecord is the waiting at one stack. The runtime scaled it already.
type ContentionRecord struct {
	Stack []uint64 // as that of a HeapRecord, but inlined calls have no address of their own
	Count int64
	Ticks int64 // waited, in the runtime's clock
}

// A Contention is a block or mutex profile, as runtime.BlockProfile or MutexProfile
// would return it.
type Contention struct {
	// Rate is what the profile is sampled by: ticks per event (block), or one event
	// out of so many (mutex). 0: it was on, and is off now.
	Rate           int64
	TicksPerSecond float64
	// Measured tells that TicksPerSecond was measured here, not taken from the program.
	Measured bool
	Depth    int
	Records  []ContentionRecord
	Stats
}

// Block reads the profile of waiting for channels, select, conditions and locks.
// Errors are those of Heap. Where the program never computed the frequency of its
// clock, this blocks until 100 ms have passed since Open.
func (p *Process) Block() (*Contention, error) {
	return p.contention("block", bbuckets, blockProfileRate, typeBlock, "runtime.SetBlockProfileRate")
}

// Mutex reads the profile of holding locks that others wait for; as Block.
func (p *Process) Mutex() (*Contention, error) {
	return p.contention("mutex", xbuckets, mutexProfileRate, typeMutex, "runtime.SetMutexProfileFraction")
}

func (p *Process) contention(what string, list, rate variable, typ uint64, setter string) (*Contention, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m, err := p.memory()
	if err != nil {
		return nil, p.failed(what, err)
	}
	for _, v := range []variable{list, rate} {
		if p.at(v) == 0 {
			return nil, p.failed(what, unsupported("%v is not where this version of the profiler looks for it", v))
		}
	}
	c, err := p.readContention(m, list, rate, typ)
	if err != nil {
		return nil, p.failed(what, err)
	}
	if c.Rate <= 0 && len(c.Records) == 0 {
		return nil, p.failed(what, fmt.Errorf("%w: it did not call %s", ErrOff, setter))
	}
	if err := p.ticks(m, c); err != nil {
		return nil, p.failed(what, err)
	}
	return c, nil
}

func (p *Process) readContention(m *memory, list, rate variable, typ uint64) (*Contention, error) {
	begin := time.Now()
	r, err := m.u64(p.at(rate))
	if err != nil {
		return nil, err
	}
	depth, err := p.depth(m)
	if err != nil {
		return nil, err
	}
	head, err := m.u64(p.at(list))
	if err != nil {
		return nil, err
	}
	buckets, err := walk(m, head, typ)
	if err != nil {
		return nil, err
	}
	c := &Contention{Rate: int64(r), Depth: depth, Records: make([]ContentionRecord, len(buckets))}
	for i := range buckets {
		if c.Records[i], err = buckets[i].blockRecord(m, typ); err != nil {
			return nil, err
		}
		c.Records[i].Stack = unbiased(buckets[i].stack, p.bias)
	}
	// Counts and delays only grow, each record by itself: there is no moment that
	// several of them would have to be of.
	c.Stats = Stats{Duration: time.Since(begin), Reads: m.reads, Bytes: m.bytes, Buckets: len(buckets), Passes: 1, Settled: true}
	return c, nil
}

// blockRecord reads a runtime.blockRecord: count float64, cycles int64.
func (b *bucket) blockRecord(m *memory, typ uint64) (r ContentionRecord, err error) {
	var buf [16]byte
	if err := m.copy(buf[:], b.record); err != nil {
		return r, fmt.Errorf("record: %w", err)
	}
	count := math.Float64frombits(binary.LittleEndian.Uint64(buf[:]))
	r.Ticks = int64(binary.LittleEndian.Uint64(buf[8:]))
	if !(count >= 0 && count < 1<<62) || r.Ticks < 0 || b.size != 0 {
		return r, unsupported("record with count %g, %d ticks and size %d: laid out differently", count, r.Ticks, b.size)
	}
	r.Count = int64(count)
	if typ == typeBlock {
		r.Count = max(r.Count, 1) // blockProfileInternal
	}
	return r, nil
}

// Delay converts ticks into nanoseconds as runtime/pprof does.
func (c *Contention) Delay(ticks int64) time.Duration {
	return time.Duration(min(float64(ticks)/(c.TicksPerSecond/1e9), math.MaxInt64/2))
}

package agent

import (
	"math"
	"math/bits"
	"time"
)

// A heapSite is a stack that allocates, in one process, and what became of its samples.
type heapSite struct {
	key     sampleKey
	process *heapProcess

	samples uint64
	freed   uint64
	bytes   uint64 // allocated, as estimated
	objects float64

	inuse        int64
	inuseObjects float64

	births    []binBirth // by bin
	deltas    []binDelta
	lifetimes []uint32   // of freed samples, by lifetimeBucket
	leftover  []survivor // of a process that ended
}

type binBirth struct {
	bin   int32
	n     uint32
	bytes uint64
}

type binDelta struct {
	bin   int32
	bytes int64
}

// A survivor is a sampled allocation that was not freed.
type survivor struct {
	born    time.Duration // CLOCK_MONOTONIC
	weight  uint64
	objects float64
}

func (s *heapSite) born(bin int, weight uint64, objects float64) {
	s.samples++
	s.bytes += weight
	s.objects += objects
	if n := len(s.births); n == 0 || s.births[n-1].bin != int32(bin) {
		s.births = append(s.births, binBirth{bin: int32(bin)})
	}
	b := &s.births[len(s.births)-1]
	b.n++
	b.bytes += weight
}

func (s *heapSite) change(bin int, bytes int64, objects float64) {
	s.inuse += bytes
	s.inuseObjects += objects
	if n := len(s.deltas); n == 0 || s.deltas[n-1].bin != int32(bin) {
		s.deltas = append(s.deltas, binDelta{bin: int32(bin)})
	}
	s.deltas[len(s.deltas)-1].bytes += bytes
}

func (s *heapSite) died(age time.Duration) {
	s.freed++
	b := lifetimeBucket(age)
	if b >= len(s.lifetimes) {
		s.lifetimes = append(s.lifetimes, make([]uint32, b+1-len(s.lifetimes))...)
	}
	if s.lifetimes[b] < math.MaxUint32 {
		s.lifetimes[b]++
	}
}

// merge joins bins two by two.
func (s *heapSite) merge() {
	births := s.births[:0]
	for _, b := range s.births {
		b.bin /= 2
		if n := len(births); n > 0 && births[n-1].bin == b.bin {
			births[n-1].n += b.n
			births[n-1].bytes += b.bytes
			continue
		}
		births = append(births, b)
	}
	s.births = births
	deltas := s.deltas[:0]
	for _, d := range s.deltas {
		d.bin /= 2
		if n := len(deltas); n > 0 && deltas[n-1].bin == d.bin {
			deltas[n-1].bytes += d.bytes
			continue
		}
		deltas = append(deltas, d)
	}
	s.deltas = deltas
}

// steps is what was in use at the end of each of n bins.
func (s *heapSite) steps(n int) []int64 {
	out := make([]int64, n)
	var sum int64
	at := 0
	for i := range out {
		for at < len(s.deltas) && int(s.deltas[at].bin) <= i {
			sum += s.deltas[at].bytes
			at++
		}
		out[i] = sum
	}
	return out
}

// Lifetimes are counted in four buckets for each power of two, from a microsecond on: bucket b < 4 is b microseconds.
const lifetimeUnit = time.Microsecond

func lifetimeBucket(age time.Duration) int {
	v := uint64(max(age, 0) / lifetimeUnit)
	if v < 4 {
		return int(v)
	}
	log := bits.Len64(v) - 1
	return 4*(log-1) + int(v>>(log-2)&3)
}

// lifetimeOf is where a bucket ends.
func lifetimeOf(bucket int) time.Duration {
	bucket++
	if bucket < 4 {
		return time.Duration(bucket) * lifetimeUnit
	}
	return time.Duration((4+uint64(bucket)%4)<<(bucket/4-1)) * lifetimeUnit
}

// lived is the age that a share of the freed samples did not exceed; 0 when none was freed.
func (s *heapSite) lived(share float64) time.Duration {
	var total, sum uint64
	for _, n := range s.lifetimes {
		total += uint64(n)
	}
	for b, n := range s.lifetimes {
		if sum += uint64(n); n > 0 && float64(sum) >= share*float64(total) {
			return lifetimeOf(b)
		}
	}
	return 0
}

// outlived is how many freed samples were at least so old.
func (s *heapSite) outlived(age time.Duration) (n uint64) {
	for b := len(s.lifetimes) - 1; b >= 0 && lifetimeOf(b) > age; b-- {
		n += uint64(s.lifetimes[b])
	}
	return n
}

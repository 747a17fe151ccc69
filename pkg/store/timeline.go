package store

import (
	"fmt"
	"math/bits"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// A Timeline is how a kind went over a range, in buckets of the same length.
type Timeline struct {
	From, To time.Time
	Step     time.Duration // of a bucket; the last may be shorter
	Unit     string        // of Value
	Buckets  []Bucket

	levels []levelSum // of a level: for each bucket
}

// A Bucket is a part of a Timeline. Value and Samples are sums or, of a level, means over the time that is covered. Covered is how much of it was recorded: what is not covered is not zero, but unknown.
type Bucket struct {
	Value   int64
	Samples int64
	Lost    uint64 // of all services
	Covered time.Duration
}

// MaxBuckets bounds a Timeline.
const MaxBuckets = 10000

// Timeline returns the totals of a service, or of all with "", over a range. No profile is read: the totals come from the
// index and, where buckets are shorter than intervals, from their interval.pb.gz. Totals are spread evenly over the time
// that they stand for: a window at first, then 10 s, then a minute.
func (s *Store) Timeline(kind, service string, from, to time.Time, buckets int) (*Timeline, error) {
	if !from.Before(to) || buckets < 1 || buckets > MaxBuckets || !fits(from, to.Sub(from)) {
		return nil, fmt.Errorf("timeline of %s: %d buckets from %v to %v: not a range", kind, buckets, from, to)
	}
	span := to.Sub(from)
	step := (span + time.Duration(buckets) - 1) / time.Duration(buckets)
	t := &Timeline{From: from, To: to, Step: step, Buckets: make([]Bucket, (span+step-1)/step)}
	if profile.IsLevel(kind) {
		t.levels = make([]levelSum, len(t.Buckets))
	}
	s.mu.Lock()
	var list []*interval
	for _, in := range s.intervals[kind] {
		if in.overlaps(from, to) {
			in.refs++
			list = append(list, in)
		}
	}
	s.mu.Unlock()
	defer s.release(list)
	service = valid(service)
	var r reader
	for _, in := range list {
		if err := s.addRows(&r, t, in, service); err != nil {
			return nil, fmt.Errorf("timeline of %s: %w", kind, err)
		}
	}
	t.settle()
	return t, nil
}

// addRows adds an interval: from the index if it lies in one bucket, or if its rows cannot be read.
func (s *Store) addRows(r *reader, t *Timeline, in *interval, service string) error {
	first, last := in.start.Sub(t.From)/t.Step, (in.end().Sub(t.From)-1)/t.Step
	oneBucket := first == last && !in.start.Before(t.From) && t.Unit != ""
	if !oneBucket && !in.damaged.Load() {
		rows, list, unit, err := s.readRows(r, in)
		if err == nil {
			if t.Unit == "" {
				t.Unit = unit
			}
			for _, row := range rows {
				b := Bucket{Lost: row.Lost, Covered: time.Duration(row.Covered)}
				for _, v := range row.Series {
					if service == "" || list[v[0]].Service == service {
						b.Samples += v[1]
						b.Value += v[2]
					}
				}
				t.spread(time.Unix(0, row.Start), b.Covered, b)
			}
			return nil
		}
		if isResource(err) {
			return err
		}
	}
	b := Bucket{Lost: in.lost, Covered: in.covered}
	for _, f := range in.files {
		if service == "" || f.series.Service == service {
			b.Samples += f.samples
			b.Value += f.value
		}
	}
	t.spread(in.start, in.length, b)
	return nil
}

// spread adds b, which happened evenly between start and start plus d, to the buckets. Where rows are longer than
// buckets, each bucket gets its share, and the shares add up exactly.
func (t *Timeline) spread(start time.Time, d time.Duration, b Bucket) {
	begin := start.Sub(t.From)
	d = max(d, 1)
	if t.levels != nil {
		t.hold(begin, d, b)
		b.Value, b.Samples = 0, 0
	}
	share := func(v int64, at time.Duration) int64 { // of v, what has happened until at
		at = min(max(at-begin, 0), d)
		negative := v < 0
		if negative {
			v = -v
		}
		hi, lo := bits.Mul64(uint64(v), uint64(at))
		if hi >= uint64(d) {
			return 0 // v is the smallest number there is: no sum of samples
		}
		q, _ := bits.Div64(hi, lo, uint64(d))
		if negative {
			return -int64(q)
		}
		return int64(q)
	}
	for i := max(0, begin/t.Step); i < time.Duration(len(t.Buckets)) && i*t.Step < begin+d; i++ {
		lower, upper := i*t.Step, min((i+1)*t.Step, t.To.Sub(t.From))
		o := &t.Buckets[i]
		o.Value += share(b.Value, upper) - share(b.Value, lower)
		o.Samples += share(b.Samples, upper) - share(b.Samples, lower)
		o.Lost += uint64(share(int64(min(b.Lost, 1<<63-1)), upper) - share(int64(min(b.Lost, 1<<63-1)), lower))
		o.Covered += time.Duration(share(int64(b.Covered), upper) - share(int64(b.Covered), lower))
	}
}

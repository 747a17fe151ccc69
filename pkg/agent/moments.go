package agent

import (
	"math"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// maxMoments bounds what one recording keeps of when samples were taken, 56 bytes each. It is an hour of two busy CPUs at
// 99 Hz; what comes later has no time, and is counted.
const maxMoments = 1 << 20

// moments are when samples were taken, in buckets of profile.LiveBucket, in the order in which they came.
type moments struct {
	list []moment
	left uint64 // events without room
}

type moment struct {
	sampleKey
	bucket int64 // of CLOCK_MONOTONIC
	count
}

func (m *moments) add(key sampleKey, at time.Duration, c count) {
	bucket := int64(at / profile.LiveBucket)
	if n := len(m.list); n > 0 && m.list[n-1].sampleKey == key && m.list[n-1].bucket == bucket {
		last := &m.list[n-1]
		last.samples, last.events, last.weight = last.samples+c.samples, last.events+c.events, last.weight+c.weight
		return
	}
	if len(m.list) >= maxMoments {
		m.left += c.events
		return
	}
	m.list = append(m.list, moment{key, bucket, c})
}

// scale multiplies what the moments of some keys weigh.
func (m *moments) scale(factors map[sampleKey]float64) {
	for i := range m.list {
		x := &m.list[i]
		if f, ok := factors[x.sampleKey]; ok {
			x.weight = uint64(math.Round(float64(x.weight) * f))
		}
	}
}

// times returns when the samples of a profile were taken. Bucket 0 is the first that has any.
func (m *moments) times(samples map[sampleKey]*pprof.Sample, k Kind) *profile.Times {
	mono, wall := systemClock()
	return m.timesAt(samples, k, wall.Add(-mono))
}

// timesAt is times for a wall clock that showed zero when the monotonic one was 0.
func (m *moments) timesAt(samples map[sampleKey]*pprof.Sample, k Kind, zero time.Time) *profile.Times {
	out := &profile.Times{Bucket: profile.LiveBucket, Of: make(map[*pprof.Sample][]profile.TimeCount, len(samples)), Left: int64(m.left)}
	if len(m.list) == 0 {
		out.Base = zero
		return out
	}
	first := m.list[0].bucket
	for _, x := range m.list {
		first = min(first, x.bucket)
	}
	out.Base = zero.Add(time.Duration(first) * profile.LiveBucket)
	for _, x := range m.list {
		if s := samples[x.sampleKey]; s != nil {
			out.Of[s] = append(out.Of[s], profile.TimeCount{Bucket: int32(x.bucket - first), Value: k.value(x.count)})
		}
	}
	return out
}

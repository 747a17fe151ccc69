package store

import (
	"math"
	"time"
)

// A levelSum is the values of a level in one bucket, times how long they held.
type levelSum struct {
	value, samples float64 // times nanoseconds
	time           float64 // nanoseconds
}

// hold enters a level that held from begin, after the timeline's start, for d.
func (t *Timeline) hold(begin, d time.Duration, b Bucket) {
	for i := max(0, begin/t.Step); i < time.Duration(len(t.Buckets)) && i*t.Step < begin+d; i++ {
		overlap := float64(min(begin+d, (i+1)*t.Step, t.To.Sub(t.From)) - max(begin, i*t.Step))
		sum := &t.levels[i]
		sum.value += overlap * float64(b.Value)
		sum.samples += overlap * float64(b.Samples)
		sum.time += overlap
	}
}

// settle fills in the means.
func (t *Timeline) settle() {
	for i, sum := range t.levels {
		if sum.time > 0 {
			t.Buckets[i].Value = int64(math.Round(sum.value / sum.time))
			t.Buckets[i].Samples = int64(math.Round(sum.samples / sum.time))
		}
	}
}

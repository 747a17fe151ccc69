package merge

import (
	"math"
	"math/bits"
)

// Weigh makes the values of profiles that are added from now on count n times, n at least 1; before the first call it is
// 1. With Divide a sum becomes a mean.
func (m *Merger) Weigh(n int64) { m.weight = max(n, 1) }

// weighted returns values times the weight; they are valid until the next call.
func (m *Merger) weighted(values []int64) []int64 {
	if m.weight <= 1 {
		return values
	}
	m.product = m.product[:0]
	for _, v := range values {
		m.product = append(m.product, multiplySaturated(v, m.weight))
	}
	return m.product
}

// Divide divides everything that was added by n, which is more than 0, to the nearest whole numbers.
func (m *Merger) Divide(n int64) {
	for _, list := range [][]int64{m.values, m.leftOut, m.sums} {
		for i, v := range list {
			list[i] = divideRounded(v, n)
		}
	}
}

func multiplySaturated(v, n int64) int64 {
	size := uint64(v)
	if v < 0 {
		size = -size
	}
	hi, lo := bits.Mul64(size, uint64(n))
	switch {
	case hi > 0 || lo > math.MaxInt64:
		if v < 0 {
			return math.MinInt64
		}
		return math.MaxInt64
	case v < 0:
		return -int64(lo)
	}
	return int64(lo)
}

// divideRounded rounds halves away from zero.
func divideRounded(v, n int64) int64 {
	q, r := v/n, v%n
	switch {
	case r > 0 && r >= n-r:
		q++
	case r < 0 && -r >= n+r:
		q--
	}
	return q
}

package export

import (
	"math/rand/v2"
	"time"
)

// A backoff is the pause after failures in a row: it doubles from min to max, and half of it is left to chance, so that
// a thousand agents do not come back together.
type backoff struct {
	min, max time.Duration
	failures int
}

// next returns the pause after one more failure, which is at least atLeast.
func (b *backoff) next(atLeast time.Duration) time.Duration {
	pause := b.max
	if b.failures < 30 {
		pause = min(b.max, b.min<<b.failures)
	}
	b.failures++
	pause = pause/2 + rand.N(pause/2+1)
	if atLeast > pause {
		return atLeast + rand.N(b.min+1)
	}
	return pause
}

func (b *backoff) reset() { b.failures = 0 }

package loader

import "testing"

func TestMissedOf(t *testing.T) {
	for _, c := range []struct{ period, events, ranEvents, overflows, want uint64 }{
		{1, 0, 100, 100, 0}, {1, 3, 100, 100, 3}, {100, 99, 1000, 10, 0}, {100, 250, 1000, 10, 2},
		{0, 150, 1000, 10, 0}, {0, 350, 1000, 10, 2}, {0, 5000, 0, 0, 0},
	} {
		ran := &bpfProfCounters{Events: c.ranEvents, Fired: c.overflows}
		if got := missedOf(c.period, c.events, ran); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

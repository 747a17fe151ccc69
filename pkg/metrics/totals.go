package metrics

import (
	"sync"
	"time"
)

// Bounds of Totals.
const (
	defaultServices = 200
	// idleAfter is how long a service has no samples before another may take its place.
	idleAfter = 10 * time.Minute
	// other is the service of what has no place of its own.
	other = "other"
)

// Totals sums samples and time by service for ebpfprof_profile_*. The number of services is bounded, as each is a series:
// when every place is taken, a new service gets that of the one which was idle longest, if it was idle for long, else it
// is counted as "other". What a service had is added to "other" when it loses its place, so no sum over all services
// ever falls. Totals is safe for concurrent use; the zero value works.
type Totals struct {
	Services int // places: 0 means 200

	mu     sync.Mutex
	places places
	sums   map[totalKey]total
}

type totalKey struct{ kind, service string }

type total struct {
	samples uint64
	seconds float64
	timed   bool // the kind measures time
}

// Add enters a window of a service. value is in the kind's unit; where that is "nanoseconds" it counts as time.
func (t *Totals) Add(now time.Time, kind, unit, service string, samples, value int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sums == nil {
		t.sums = make(map[totalKey]total)
	}
	t.places.limit = t.Services
	name, evicted := t.places.take(now, service)
	if evicted != "" {
		t.forget(evicted)
	}
	key := totalKey{kind, name}
	sum := t.sums[key]
	sum.samples += uint64(max(samples, 0))
	if unit == "nanoseconds" {
		sum.seconds += float64(max(value, 0)) / 1e9
		sum.timed = true
	}
	t.sums[key] = sum
}

func (t *Totals) forget(service string) {
	for key, sum := range t.sums {
		if key.service != service {
			continue
		}
		rest := t.sums[totalKey{key.kind, other}]
		rest.samples += sum.samples
		rest.seconds += sum.seconds
		rest.timed = rest.timed || sum.timed
		t.sums[totalKey{key.kind, other}] = rest
		delete(t.sums, key)
	}
}

// AddTo enters the sums in a snapshot.
func (t *Totals) AddTo(s *Snapshot) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, sum := range t.sums {
		s.Add(ProfileSamplesTotal, float64(sum.samples), key.kind, key.service)
		if sum.timed {
			s.Add(ProfileSecondsTotal, sum.seconds, key.kind, key.service)
		}
	}
}

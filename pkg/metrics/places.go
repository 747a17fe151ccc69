package metrics

import (
	"cmp"
	"time"
)

// places bounds the number of services that have series of their own, as each costs every reader. When every place is
// taken, a new service gets that of the one which was idle longest, if it was idle for long. The zero value works.
type places struct {
	limit int // 0 means 200
	last  map[string]time.Time
}

// take returns under which name service is counted, and which service has lost its place to it, "" if none has.
func (p *places) take(now time.Time, service string) (name, evicted string) {
	if service == other {
		return other, ""
	}
	if p.last == nil {
		p.last = map[string]time.Time{}
	}
	if _, ok := p.last[service]; ok || len(p.last) < cmp.Or(p.limit, defaultServices) {
		p.last[service] = now
		return service, ""
	}
	oldest, seen := "", now
	for name, at := range p.last {
		if at.Before(seen) || at.Equal(seen) && oldest != "" && name < oldest {
			oldest, seen = name, at
		}
	}
	if now.Sub(seen) < idleAfter {
		return other, ""
	}
	delete(p.last, oldest)
	p.last[service] = now
	return service, oldest
}

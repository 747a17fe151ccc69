package agent

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// What makes survivors a leak. A site that frees what it allocates, however late, must not be called one: what is judged is
// older than twice what nearly all of its freed samples reached, and hardly any that old was freed.
const (
	leakSamples  = 5    // survivors, at least
	leakFreed    = 0.05 // as many freed samples of their age, for each survivor, at most
	leakLived    = 0.99 // the share of freed samples whose age is doubled
	leakMinShare = 20   // an age of less than this part of the recording says nothing
	leakQuarters = 3    // of the time, in which survivors were born: what was allocated once, at the start, stays by intent
)

// survivorsOf are those of each site: of processes that live, and of others as of their end.
func (h *HeapRecorder) survivorsOf() map[*heapSite][]survivor {
	out := map[*heapSite][]survivor{}
	for id, a := range h.lives {
		out[a.site] = append(out[a.site], survivor{id.Time, a.weight, a.objects})
	}
	for _, s := range h.list {
		if len(s.leftover) > 0 {
			out[s] = append(out[s], s.leftover...)
		}
	}
	return out
}

// leaks are the sites that leak, by their number in list, those that leak most first. end is the recording's.
func (h *HeapRecorder) leaks(end time.Duration) []profile.HeapLeak {
	survivors := h.survivorsOf()
	var out []profile.HeapLeak
	for i, s := range h.list {
		if l, ok := h.judge(s, survivors[s], end); ok {
			l.Site = i
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b profile.HeapLeak) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Site, b.Site))
	})
	return out
}

func (h *HeapRecorder) judge(s *heapSite, survivors []survivor, end time.Duration) (profile.HeapLeak, bool) {
	begin := s.process.first
	if s.process.ended > 0 {
		end = s.process.ended
	}
	age := max(2*s.lived(leakLived), (end-begin)/leakMinShare)
	if len(survivors) < leakSamples || age > (end-begin)/2 {
		return profile.HeapLeak{}, false
	}
	l := profile.HeapLeak{Age: age, Freed: s.freed, Seconds: (end - begin).Seconds()}
	until := end - age
	var bytes, variance float64
	var quarters [4]bool
	for _, v := range survivors {
		if v.born > until {
			continue
		}
		l.Samples++
		l.Oldest = max(l.Oldest, end-v.born)
		bytes += float64(v.weight)
		variance += float64(v.weight) * float64(v.weight) * (1 - 1/max(v.objects, 1))
		quarters[min(3, max(0, int(4*(v.born-begin)/max(until-begin, 1))))] = true
	}
	born := 0
	for _, q := range quarters {
		if q {
			born++
		}
	}
	if l.Samples < leakSamples || born < leakQuarters || !quarters[3] || float64(s.outlived(age)) > leakFreed*float64(l.Samples) {
		return profile.HeapLeak{}, false
	}
	// Of what is younger, the same share will stay.
	old, young := h.birthsUntil(s, until)
	l.Share = min(1, bytes/max(old, bytes))
	grown := 1 + l.Share*young/bytes
	l.Bytes, l.Deviation = int64(bytes*grown), int64(math.Sqrt(variance)*grown)
	return l, true
}

// birthsUntil are the bytes allocated at a site before a time, and after it.
func (h *HeapRecorder) birthsUntil(s *heapSite, until time.Duration) (old, young float64) {
	at := float64(until-h.begin) / float64(h.timeline.step)
	for _, b := range s.births {
		part := min(1, max(0, at-float64(b.bin)))
		old += part * float64(b.bytes)
		young += (1 - part) * float64(b.bytes)
	}
	return old, young
}

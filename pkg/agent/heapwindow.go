package agent

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/goheap"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// A heapWindow is the heaps of all services over a span in the making.
type heapWindow struct {
	start, end time.Time
	series     map[string]*heapSeries
	failed     uint64 // readings
}

// A heapSeries is the profiles of one service.
type heapSeries struct {
	profile.Series
	allocated, inUse *profile.Builder
}

func newHeapWindow(start, end time.Time) *heapWindow {
	return &heapWindow{start: start, end: end, series: map[string]*heapSeries{}}
}

// fill enters what every process allocated since the mark, and what it has in use.
func (h *heapWindow) fill(g *GoHeaps, m heapMark) {
	for _, key := range g.sorted() {
		w := g.watched[key]
		if w.failed() {
			h.failed++
		}
		if w.err != nil || w.heap == nil {
			continue
		}
		s := h.of(w)
		w.heap.AddInUse(s.inUse, w.named(), w.labels(key))
		if before, ok := w.since(key, m); ok {
			w.heap.AddAllocated(s.allocated, w.named(), w.labels(key), before)
		}
	}
}

func (h *heapWindow) of(w *watchedHeap) *heapSeries {
	key := seriesKey(w.identity.Service, w.identity.Labels)
	s := h.series[key]
	if s == nil {
		d := h.end.Sub(h.start)
		s = &heapSeries{
			Series:    profile.Series{Service: w.identity.Service, Labels: w.identity.Labels},
			allocated: profile.NewBuilder(goheap.AllocOptions(w.heap.Rate, h.start, d)),
			inUse:     profile.NewBuilder(goheap.InUseOptions(w.heap.Rate, h.start, d)),
		}
		h.series[key] = s
	}
	return s
}

func (s *heapSeries) window(kind string, p *pprof.Profile) *profile.Window {
	series := s.Series
	series.Kind = kind
	return &profile.Window{Series: series, Profile: p}
}

// intervals is one of each kind, with the services in order of their names.
func (h *heapWindow) intervals() []*profile.Interval {
	d := h.end.Sub(h.start)
	alloc := &profile.Interval{Kind: HeapAlloc, Start: h.start, Duration: d, Lost: h.failed}
	inUse := &profile.Interval{Kind: HeapInUse, Start: h.start, Duration: d, Lost: h.failed}
	keys := slices.SortedFunc(maps.Keys(h.series), func(a, b string) int {
		return cmp.Or(strings.Compare(h.series[a].Service, h.series[b].Service), strings.Compare(a, b))
	})
	for _, key := range keys {
		s := h.series[key]
		if p := s.allocated.Profile(); len(p.Sample) > 0 {
			alloc.Windows = append(alloc.Windows, s.window(HeapAlloc, p))
		}
		if p := s.inUse.Profile(); len(p.Sample) > 0 {
			inUse.Windows = append(inUse.Windows, s.window(HeapInUse, p))
		}
	}
	return []*profile.Interval{alloc, inUse}
}

package store

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// Kinds returns the kinds that the history has, sorted.
func (s *Store) Kinds() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sortedKinds()
}

// sortedKinds is Kinds for a caller that holds s.mu.
func (s *Store) sortedKinds() []string { return slices.Sorted(maps.Keys(s.intervals)) }

// A SeriesTotal is what a series has in a range.
type SeriesTotal struct {
	profile.Series
	Samples int64
	Value   int64 // in the unit of the kind's default sample type
}

// Series returns the series of a kind with what they have in a range, the largest value first. The range is cut as for
// Profile. The labels are shared: nobody changes them.
func (s *Store) Series(kind string, from, to time.Time) []SeriesTotal {
	s.mu.Lock()
	defer s.mu.Unlock()
	totals := map[string]*SeriesTotal{}
	for _, in := range s.selected(kind, from, to) {
		for _, f := range in.files {
			key := f.series.name()
			t := totals[key]
			if t == nil {
				t = &SeriesTotal{Series: f.series.Series}
				totals[key] = t
			}
			t.Samples += f.samples
			t.Value += f.value
		}
	}
	list := make([]SeriesTotal, 0, len(totals))
	for _, key := range slices.Sorted(maps.Keys(totals)) {
		list = append(list, *totals[key])
	}
	slices.SortStableFunc(list, func(a, b SeriesTotal) int { return cmp.Compare(b.Value, a.Value) })
	return list
}

// name is the identity without the sample types.
func (s *series) name() string {
	b, _ := json.Marshal(identity{Service: s.Service, Labels: s.Labels}) // of strings: no error
	return string(b)
}

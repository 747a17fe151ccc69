package store

import (
	"maps"
	"time"
)

// Status is the state of a store, and counts since it was opened.
type Status struct {
	Bytes     int64 // on disk, in whole blocks of 4 KiB
	Intervals int
	Files     int // profiles of series
	Series    int // in the index at present
	Oldest    time.Time
	Newest    time.Time // the end of the last interval; both are zero when there is none
	Paused    string    // why windows are not being written; "" when they are

	Written   uint64            // windows
	Dropped   map[string]uint64 // windows that are not in the history, by reason: one of Reasons
	Corrupt   uint64            // files that cannot be read
	Foreign   uint64            // files and directories that are not of the store
	Compacted uint64            // intervals that were merged into larger ones
	Expired   map[string]uint64 // intervals that were removed, by reason: age, size
	LeftOut   uint64            // samples whose stacks there was no room for when intervals were merged
	Failed    uint64            // attempts to merge that failed, for want of room for example; they are made again
}

// Reasons why windows are dropped.
const (
	reasonNoSpace = "no_space" // the disk is full
	reasonQuota   = "quota"    // the disk quota is used up
	reasonIO      = "io"       // another error of the disk
	reasonInvalid = "invalid"  // the window is no valid profile, or too large
)

// Reasons lists the keys of Status.Dropped.
func Reasons() []string { return []string{reasonNoSpace, reasonQuota, reasonIO, reasonInvalid} }

func newStatus() Status {
	st := Status{Dropped: map[string]uint64{}, Expired: map[string]uint64{"age": 0, "size": 0}}
	for _, r := range Reasons() {
		st.Dropped[r] = 0
	}
	return st
}

// Status returns the state at this moment.
func (s *Store) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.status
	st.Dropped, st.Expired = maps.Clone(st.Dropped), maps.Clone(st.Expired)
	seen := map[*series]bool{}
	for _, list := range s.intervals {
		for _, in := range list {
			if st.Oldest.IsZero() || in.start.Before(st.Oldest) {
				st.Oldest = in.start
			}
			if in.end().After(st.Newest) {
				st.Newest = in.end()
			}
			for _, f := range in.files {
				seen[f.series] = true
			}
		}
	}
	st.Series = len(seen)
	return st
}

// count changes the status.
func (s *Store) count(change func(*Status)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.status)
}

// corrupt reports a file of an interval, once. The interval is not merged any more, so that the file stays where it is.
func (s *Store) corrupt(in *interval, f *file, err error) {
	in.damaged.Store(true)
	if !f.skip.Swap(true) {
		s.reportCorrupt(in.path()+"/"+f.name, err)
	}
}

func (s *Store) reportCorrupt(path string, err error) {
	s.count(func(st *Status) { st.Corrupt++ })
	s.log.Error("a file of the history is damaged and skipped", "path", path, "error", err)
}

func (s *Store) reportForeign(path, why string) {
	s.count(func(st *Status) { st.Foreign++ })
	s.log.Warn("not part of the history, left alone", "path", path, "reason", why)
}

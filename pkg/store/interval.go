package store

import (
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// An interval is one directory: the profiles of all series of a kind over a span of time. Once in the index only the
// fields that say so change.
type interval struct {
	kind    string
	level   level
	name    string
	start   time.Time
	length  time.Duration // from the start of its first window to the end of its last
	seq     uint64
	windows int           // as they were added
	covered time.Duration // the sum of their durations: less than length where there are gaps
	lost    uint64
	parts   []string // paths below the store of the intervals that it was merged from
	files   []*file
	all     *file // the sum of all files, in one: their names and stacks are mostly the same; nil where there is none
	bytes   int64 // on disk

	damaged atomic.Bool // some of it cannot be read: it is left where it is
	refs    int         // queries that read it; under Store.mu
	dead    bool        // no longer in the index: removed with the last reference; under Store.mu
}

// A file holds the profile of one series.
type file struct {
	series         *series
	name           string
	samples, value int64
	skip           atomic.Bool // it cannot be read, which was reported
}

// path is relative to the store's directory.
func (in *interval) path() string { return filepath.Join(in.kind, in.level.String(), in.name) }

func (in *interval) end() time.Time { return in.start.Add(in.length) }

func (in *interval) middle() time.Time { return in.start.Add(in.length / 2) }

// within tells whether in belongs to a range: its middle does. So no interval belongs to two ranges side by side.
func (in *interval) within(from, to time.Time) bool {
	m := in.middle()
	return !m.Before(from) && m.Before(to)
}

func (in *interval) overlaps(from, to time.Time) bool {
	return in.start.Before(to) && in.end().After(from)
}

// isLevel tells whether the values are a level: those of an interval are then the mean of its windows.
func (in *interval) isLevel() bool { return profile.IsLevel(in.kind) }

// weight is how often its values count when they are joined with those of others.
func (in *interval) weight() int64 {
	if in.isLevel() {
		return int64(max(in.windows, 1))
	}
	return 1
}

// onDisk is what a file takes on most file systems.
func onDisk(size int64) int64 { return (size + 4095) &^ 4095 }

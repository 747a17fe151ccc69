// Package store keeps profiles on disk: pprof files, one of each series in a directory for each interval, written whole or
// not at all. Intervals are merged as they age, and removed by age and size. See docs/store.md for the layout.
package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Options describe a store. Only Dir must be set.
type Options struct {
	Dir      string        // made if it is not there
	MaxAge   time.Duration // since the end of an interval; 0 means DefaultMaxAge, less means for ever
	MaxBytes int64         // on disk; 0 means DefaultMaxBytes, less means no limit
	Log      *slog.Logger  // nil: nothing is logged
	// Now is the clock by which intervals age; nil means time.Now.
	Now func() time.Time
}

// What a store keeps unless told otherwise.
const (
	DefaultMaxAge   = 7 * 24 * time.Hour
	DefaultMaxBytes = 1 << 30
)

// ErrClosed means that Close was called.
var ErrClosed = errors.New("store is closed")

const tmpDir = "tmp" // what is being written or removed; emptied by Open

// A Store is a history of profiles. Its methods may be called concurrently, but Add by one goroutine at a time. Run must
// be running for intervals to be merged and removed.
type Store struct {
	dir  string
	opt  Options
	log  *slog.Logger
	now  func() time.Time
	lock *os.File
	kick chan struct{}

	upkeep sync.Mutex // held while intervals are merged or removed

	mu        sync.Mutex // of all below
	closed    bool
	seq       uint64
	known     map[string]*series
	intervals map[string][]*interval // by kind, sorted by start
	lingering map[string]bool        // paths of intervals that have left the index but not the disk: a query reads them
	status    Status
}

// Open opens the store in a directory and reads its index. What is damaged or not of the store is logged, counted and
// left alone. It fails with ErrLocked while another process has the store.
func Open(o Options) (*Store, error) {
	if o.MaxAge == 0 {
		o.MaxAge = DefaultMaxAge
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	s := &Store{
		dir: o.Dir, opt: o, log: o.Log, now: o.Now, kick: make(chan struct{}, 1),
		known: map[string]*series{}, intervals: map[string][]*interval{}, lingering: map[string]bool{}, status: newStatus(),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil || o.Dir == "" {
		return nil, fmt.Errorf("open store %q: no directory: %w", o.Dir, err)
	}
	s.dir = dir
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if s.lock, err = takeLock(dir); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	tmp := filepath.Join(dir, tmpDir)
	if err = errors.Join(os.RemoveAll(tmp), os.Mkdir(tmp, dirMode)); err == nil {
		err = s.scan()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store: %w", err), s.lock.Close())
	}
	return s, nil
}

// Close gives the store up, after Run has ended its work in hand. Queries that are running go on.
func (s *Store) Close() error {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if closed {
		return nil
	}
	s.upkeep.Lock()
	defer s.upkeep.Unlock()
	return s.lock.Close()
}

func (s *Store) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func (s *Store) nextSeq() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq++
	return s.seq
}

// insert makes in part of the index in the place of others, in one step: a query sees either.
func (s *Store) insert(in *interval, instead []*interval) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enter(in)
	for _, old := range instead {
		s.forget(old)
	}
}

// enter and forget change the index. The caller holds s.mu.
func (s *Store) enter(in *interval) {
	list := s.intervals[in.kind]
	at, _ := slices.BinarySearchFunc(list, in, func(a, b *interval) int { return a.start.Compare(b.start) })
	s.intervals[in.kind] = slices.Insert(list, at, in)
	s.status.Bytes += in.bytes
	s.status.Intervals++
	s.status.Files += len(in.files)
}

func (s *Store) forget(in *interval) {
	if in.dead {
		return
	}
	in.dead = true
	list := s.intervals[in.kind]
	if at := slices.Index(list, in); at >= 0 {
		s.intervals[in.kind] = slices.Delete(list, at, at+1)
	}
	if len(s.intervals[in.kind]) == 0 {
		delete(s.intervals, in.kind)
	}
	s.status.Bytes -= in.bytes
	s.status.Intervals--
	s.status.Files -= len(in.files)
}

// acquire returns the intervals of a kind that belong to a range, oldest first. They stay on disk until release.
func (s *Store) acquire(kind string, from, to time.Time) []*interval {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.selected(kind, from, to)
	for _, in := range list {
		in.refs++
	}
	return list
}

// selected are the intervals whose middle lies in the range; if there are none, those that it lies in.
func (s *Store) selected(kind string, from, to time.Time) (list []*interval) {
	for _, in := range s.intervals[kind] {
		if in.within(from, to) {
			list = append(list, in)
		}
	}
	if len(list) > 0 {
		return list
	}
	for _, in := range s.intervals[kind] {
		if in.overlaps(from, to) {
			list = append(list, in)
		}
	}
	return list
}

func (s *Store) release(list []*interval) {
	var remove []*interval
	s.mu.Lock()
	for _, in := range list {
		in.refs--
		if in.dead && in.refs == 0 {
			remove = append(remove, in)
		}
	}
	s.mu.Unlock()
	for _, in := range remove {
		s.remove(in.path())
		s.mu.Lock()
		delete(s.lingering, in.path())
		s.mu.Unlock()
	}
}

// remove removes an interval's directory: in one step, so that a kill does not leave half of it.
func (s *Store) remove(path string) {
	dead := filepath.Join(s.dir, tmpDir, "removed-"+filepath.Base(path)+"-"+filepath.Base(filepath.Dir(path)))
	err := os.Rename(filepath.Join(s.dir, path), dead)
	if err == nil {
		err = os.RemoveAll(dead)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.log.Warn("cannot remove old profiles", "path", path, "error", err)
	}
}

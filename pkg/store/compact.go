package store

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/store/merge"
)

// mergeLimit bounds the memory in which the files of one series are merged.
const mergeLimit = 16 << 20

// errDamaged means that a part could not be read. It has been reported.
var errDamaged = errors.New("a part is damaged")

// compact merges what is old enough, oldest first, until ctx ends. An interval with a damaged file is left as it is.
func (s *Store) compact(ctx context.Context) error {
	var failed error
	for into := level5m; into < numLevels; into++ {
		for _, group := range s.due(into) {
			if ctx.Err() != nil {
				return nil
			}
			err := s.mergeGroup(ctx, into, group)
			if errors.Is(err, errDamaged) { // once more, without the damaged one
				group = slices.DeleteFunc(group, func(in *interval) bool { return in.damaged.Load() })
				if err = nil; len(group) > 0 {
					err = s.mergeGroup(ctx, into, group)
				}
			}
			if err != nil && ctx.Err() == nil && !errors.Is(err, errDamaged) {
				failed = errors.Join(failed, err)
			}
			if diskReason(err) == reasonNoSpace || diskReason(err) == reasonQuota {
				return failed // nor is there room for the next
			}
		}
	}
	return failed
}

// due returns the groups of intervals that are to become one of the level.
func (s *Store) due(into level) (groups [][]*interval) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, kind := range s.sortedKinds() {
		byStretch := map[int64][]*interval{}
		var order []int64
		for _, in := range s.intervals[kind] {
			stretch := in.start.Truncate(into.length())
			ended := max(in.end().Sub(stretch), into.length())
			if in.level != into-1 || in.damaged.Load() || stretch.Add(ended+into.keep()).After(now) {
				continue
			}
			key := stretch.Unix()
			if byStretch[key] == nil {
				order = append(order, key)
			}
			byStretch[key] = append(byStretch[key], in)
		}
		slices.Sort(order)
		for _, key := range order {
			groups = append(groups, byStretch[key])
		}
	}
	return groups
}

// mergeGroup writes one interval in the place of parts, which are of one kind. A kill before its directory is renamed
// leaves the parts; a kill after it leaves both, and the list in its record from which Open knows what to remove.
func (s *Store) mergeGroup(ctx context.Context, into level, parts []*interval) error {
	parts = slices.DeleteFunc(parts, s.vanished)
	if len(parts) == 0 || len(parts) > maxParts || s.leftovers(parts) {
		return nil
	}
	start, end := parts[0].start, parts[0].end()
	b := &batch{in: &interval{kind: parts[0].kind, level: into}, all: merge.New(mergeLimit)}
	for _, p := range parts {
		if p.start.Before(start) {
			start = p.start
		}
		if p.end().After(end) {
			end = p.end()
		}
		b.in.windows, b.in.covered = b.in.windows+p.windows, b.in.covered+p.covered
		b.in.lost += p.lost
		b.in.parts = append(b.in.parts, p.path())
	}
	b.in.start, b.in.length, b.in.seq = start, end.Sub(start), s.nextSeq()
	b.in.name = intervalName(start, b.in.length, b.in.seq)
	var err error
	if b.stage, err = s.stage(b.in.name, smallCompression); err != nil {
		return err
	}
	if err = s.mergeSeries(ctx, b, parts); err == nil {
		err = s.mergeRows(b, parts)
	}
	if err != nil {
		b.stage.abandon()
		return err
	}
	if err := s.commit(b); err != nil {
		return err
	}
	s.insert(b.in, parts)
	s.count(func(st *Status) { st.Compacted += uint64(len(parts)) })
	s.retire(parts)
	return nil
}

// vanished tells whether an interval was removed by hand, and takes it out of the index.
func (s *Store) vanished(in *interval) bool {
	if _, err := os.Lstat(filepath.Join(s.dir, in.path())); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(in)
	return true
}

// leftovers tells whether a part of the parts is still on disk, because a query reads it or it could not be removed. Nobody
// would know of it any more once its list is gone, and the next Open would count it twice.
func (s *Store) leftovers(parts []*interval) bool {
	left := false
	for _, p := range parts {
		for _, path := range p.parts {
			if _, err := os.Lstat(filepath.Join(s.dir, path)); errors.Is(err, fs.ErrNotExist) {
				continue
			}
			left = true
			s.mu.Lock()
			inUse := s.lingering[path]
			s.mu.Unlock()
			if !inUse {
				s.remove(path)
			}
		}
	}
	return left
}

// retire removes the directories of intervals that have left the index, or has the last query that reads them do it.
func (s *Store) retire(list []*interval) {
	for _, in := range list {
		s.mu.Lock()
		free := in.refs == 0
		if !free {
			s.lingering[in.path()] = true
		}
		s.mu.Unlock()
		if free {
			s.remove(in.path())
		}
	}
}

// mergeSeries writes the files, one series after the other.
func (s *Store) mergeSeries(ctx context.Context, b *batch, parts []*interval) error {
	bySeries := map[string][]source{}
	var order []*series
	for _, p := range parts {
		for _, f := range p.files {
			if f.skip.Load() {
				return errDamaged
			}
			if bySeries[f.series.key] == nil {
				order = append(order, f.series)
			}
			bySeries[f.series.key] = append(bySeries[f.series.key], source{p, f})
		}
	}
	slices.SortFunc(order, func(a, b *series) int { return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.key, b.key)) })
	var r reader
	var wire []byte
	in := b.in
	for _, ser := range order {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		m := merge.New(mergeLimit)
		out := &file{series: ser, name: ser.file}
		for _, src := range bySeries[ser.key] {
			err := s.readInto(m, &r, src.in, src.f)
			if errors.Is(err, fs.ErrNotExist) {
				continue // removed by hand
			} else if err != nil {
				return err
			}
			n := src.in.weight()
			out.samples, out.value = out.samples+n*src.f.samples, out.value+n*src.f.value
		}
		if m.Merged() == 0 {
			continue
		}
		if in.isLevel() {
			n := int64(max(in.windows, 1))
			m.Divide(n)
			out.samples, out.value = out.samples/n, out.value/n
		}
		if left := m.LeftOut(); left[0] > 0 {
			s.count(func(st *Status) { st.LeftOut += uint64(left[0]) })
		}
		wire = m.AppendWire(wire[:0], identityComment+ser.key)
		if err := b.add(out, wire); err != nil {
			return err
		}
	}
	return nil
}

// readInto adds a file to a merger. A damaged file is reported, and the error is errDamaged.
func (s *Store) readInto(m *merge.Merger, r *reader, in *interval, f *file) error {
	wire, err := r.read(filepath.Join(s.dir, in.path(), f.name))
	if err == nil {
		m.Weigh(in.weight())
		err = m.Add(wire)
	}
	switch {
	case err == nil || errors.Is(err, fs.ErrNotExist):
		return err
	case errors.Is(err, fs.ErrPermission) || isResource(err):
		return err // the file may well be good
	}
	s.corrupt(in, f, err)
	return errDamaged
}

// mergeRows joins the rows of the parts, for series that have a file.
func (s *Store) mergeRows(b *batch, parts []*interval) error {
	position := map[string]int64{}
	for i, f := range b.in.files {
		position[f.series.key] = int64(i)
	}
	var r reader
	for _, p := range parts {
		rows, list, unit, err := s.readRows(&r, p)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) && !isResource(err) {
				p.damaged.Store(true)
				s.reportCorrupt(filepath.Join(p.path(), intervalFile), err)
				return errDamaged
			}
			return err
		}
		if b.rec.Unit == "" {
			b.rec.Unit = unit
		}
		for _, row := range rows {
			kept := row.Series[:0]
			for _, v := range row.Series {
				if at, ok := position[list[v[0]].key]; ok {
					kept = append(kept, [3]int64{at, v[1], v[2]})
				}
			}
			row.Series = kept
			b.rows = append(b.rows, row)
		}
	}
	b.rows = coarsen(b.rows, b.in.level.resolution(), b.in.isLevel())
	return nil
}

// readRows reads the rows of an interval and the series that their positions mean.
func (s *Store) readRows(r *reader, in *interval) ([]row, []*series, string, error) {
	wire, err := r.read(filepath.Join(s.dir, in.path(), intervalFile))
	if err != nil {
		return nil, nil, "", err
	}
	var rec record
	var rows []row
	if err := errors.Join(parseRecord(wire, recordComment, &rec), parseRecord(wire, rowsComment, &rows), rec.check()); err != nil {
		return nil, nil, "", err
	}
	list := make([]*series, len(rec.Series))
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, sr := range rec.Series {
		if list[i], err = s.series(in.kind, sr.Key); err != nil {
			return nil, nil, "", err
		}
	}
	for _, row := range rows {
		if row.Start < 0 || row.Covered < 0 || row.Start > math.MaxInt64/2 || row.Covered > int64(400*24*time.Hour) {
			return nil, nil, "", errors.New("a row is out of range")
		}
		for _, v := range row.Series {
			if v[0] < 0 || v[0] >= int64(len(list)) {
				return nil, nil, "", errors.New("a row has a series that is not there")
			}
		}
	}
	return rows, list, rec.Unit, nil
}

package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	pprof "github.com/google/pprof/profile"
	"golang.org/x/sys/unix"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
	"github.com/ebpfprof/ebpfprof/pkg/store/merge"
)

// Compression costs time where a window waits for it, and pays where a file stays for days.
const (
	fastCompression  = 2
	smallCompression = 3
)

// A batch are the files of an interval that is being written.
type batch struct {
	in       *interval
	rec      record
	rows     []row
	services []string
	stage    *staging
	all      *merge.Merger // the sum of the files; nil when they cannot be added up
}

// Add writes an interval. When it returns without an error, all valid windows of it are on the disk; after an error none
// of it is kept. Either way, windows that are not kept are counted by reason. A full disk pauses the history only until
// there is room: each Add tries. The interval is only read.
func (s *Store) Add(in *profile.Interval) error {
	if s.isClosed() {
		return ErrClosed
	}
	if !kindName.MatchString(in.Kind) || in.Kind == tmpDir || in.Kind == lockFile || !fits(in.Start, in.Duration) {
		s.drop(reasonInvalid, len(in.Windows))
		return fmt.Errorf("add interval of %q: kind, start %v or duration %v is not valid", in.Kind, in.Start, in.Duration)
	}
	seq := s.nextSeq()
	b := &batch{
		in: &interval{
			kind: in.Kind, level: levelWindow, name: intervalName(in.Start, in.Duration, seq), start: in.Start.Round(0),
			length: in.Duration, seq: seq, windows: 1, covered: in.Duration, lost: in.Lost,
		},
		all:  merge.New(mergeLimit),
		rows: []row{{Start: in.Start.UnixNano(), Covered: int64(in.Duration), Windows: 1, Lost: in.Lost}},
	}
	written, err := s.addWindows(b, in)
	if err != nil {
		reason := diskReason(err)
		s.drop(reason, written)
		s.pause(reason, err)
		return fmt.Errorf("add interval of %q: %w", in.Kind, err)
	}
	s.pause("", nil)
	s.count(func(st *Status) { st.Written += uint64(written) })
	select {
	case s.kick <- struct{}{}:
	default:
	}
	return nil
}

// addWindows returns how many windows were written or, with an error, should have been.
func (s *Store) addWindows(b *batch, in *profile.Interval) (n int, err error) {
	type ready struct {
		f    *file
		wire []byte
	}
	var files []ready
	for _, w := range in.Windows {
		f, wire, err := s.encode(in.Kind, w)
		if err != nil {
			s.drop(reasonInvalid, 1)
			s.log.Warn("a window is not valid and not kept", "kind", in.Kind, "error", err)
			continue
		}
		if b.rec.Unit == "" {
			b.rec.Unit = valueUnit(w.Profile)
		}
		files = append(files, ready{f, wire})
	}
	if b.stage, err = s.stage(b.in.name, fastCompression); err != nil {
		return len(files), err
	}
	for _, r := range files {
		if err := b.add(r.f, r.wire); err != nil {
			b.stage.abandon()
			return len(files), err
		}
	}
	for i, f := range b.in.files {
		b.rows[0].Series = append(b.rows[0].Series, [3]int64{int64(i), f.samples, f.value})
	}
	if err := s.commit(b); err != nil {
		return len(files), err
	}
	s.insert(b.in, nil)
	return len(files), nil
}

// encode turns a window into a file's content.
func (s *Store) encode(kind string, w *profile.Window) (*file, []byte, error) {
	if w == nil || w.Profile == nil || len(w.Profile.SampleType) == 0 {
		return nil, nil, errors.New("no profile")
	}
	key, err := newIdentity(w)
	if err != nil {
		return nil, nil, err
	}
	m := merge.New(0)
	if err := m.AddProfile(w.Profile); err != nil {
		return nil, nil, err
	}
	wire := m.AppendWire(nil, identityComment+key)
	if len(wire) > maxFile {
		return nil, nil, fmt.Errorf("a profile of %d bytes", len(wire))
	}
	s.mu.Lock()
	ser, err := s.series(kind, key)
	s.mu.Unlock()
	if err != nil {
		return nil, nil, err
	}
	sums := m.Sums()
	f := &file{series: ser, name: ser.file, value: sums[valueIndex(w.Profile)]}
	f.samples = sums[max(0, profile.CountIndex(w.Profile))]
	return f, wire, nil
}

// valueIndex is the index of the sample type that timelines show: the default one.
func valueIndex(p *pprof.Profile) int {
	for i, t := range p.SampleType {
		if t.Type == p.DefaultSampleType {
			return i
		}
	}
	return len(p.SampleType) - 1
}

func valueUnit(p *pprof.Profile) string { return valid(p.SampleType[valueIndex(p)].Unit) }

// add writes the file of one series. Two of the same name are of one series or, one day, of two with the same hash.
func (b *batch) add(f *file, wire []byte) error {
	for n := 2; slices.ContainsFunc(b.in.files, func(o *file) bool { return o.name == f.name }); n++ {
		f.name = fmt.Sprintf("%s_%d%s", strings.TrimSuffix(f.series.file, extension), n, extension)
	}
	if err := b.stage.add(f.name, wire); err != nil {
		return err
	}
	if b.all != nil {
		if err := b.all.Add(wire); errors.Is(err, merge.ErrIncompatible) {
			b.all = nil
		} else if err != nil {
			return err
		}
	}
	b.in.files = append(b.in.files, f)
	b.rec.Series = append(b.rec.Series, seriesRecord{File: f.name, Key: f.series.key, Samples: f.samples, Value: f.value})
	b.services = append(b.services, f.series.Service)
	return nil
}

// addAll writes all.pb.gz, where it says more than the one file that there is and nothing is left out.
func (b *batch) addAll() error {
	if b.all == nil || len(b.in.files) < 2 || slices.ContainsFunc(b.all.LeftOut(), func(v int64) bool { return v != 0 }) {
		return nil
	}
	wire := b.all.AppendWire(nil)
	if len(wire) > maxFile {
		return nil
	}
	b.rec.All = true
	b.in.all = &file{series: b.in.files[0].series, name: allFile}
	return b.stage.add(allFile, wire)
}

// commit writes the record of a batch and makes it part of the store, or removes it.
func (s *Store) commit(b *batch) error {
	in := b.in
	b.rec.Parts, b.rec.Windows, b.rec.Covered, b.rec.Lost = in.parts, in.windows, int64(in.covered), in.lost
	if b.rec.Unit == "" {
		b.rec.Unit = "count"
	}
	if err := b.addAll(); err != nil {
		b.stage.abandon()
		return err
	}
	wire, err := recordProfile(in.kind, in.start, in.length, &b.rec, b.rows, b.services)
	if err == nil && len(wire) > maxFile {
		err = fmt.Errorf("index of %d bytes", len(wire))
	}
	if err == nil {
		err = b.stage.add(intervalFile, wire)
	}
	if err == nil {
		err = b.stage.commit(filepath.Join(s.dir, in.path()))
	}
	if err != nil {
		b.stage.abandon()
		return err
	}
	in.bytes = b.stage.bytes
	return nil
}

func (s *Store) drop(reason string, windows int) {
	s.count(func(st *Status) { st.Dropped[reason] += uint64(windows) })
}

// pause notes that the history does not go on, or with "" that it does, and logs each change.
func (s *Store) pause(reason string, err error) {
	var before string
	s.count(func(st *Status) {
		before = st.Paused
		st.Paused = reason
	})
	switch {
	case before == reason:
	case reason == "":
		s.log.Info("the history goes on", "reason", before)
	default:
		s.log.Error("the history pauses", "reason", reason, "error", err)
	}
}

func diskReason(err error) string {
	switch {
	case errors.Is(err, unix.ENOSPC):
		return reasonNoSpace
	case errors.Is(err, unix.EDQUOT):
		return reasonQuota
	}
	return reasonIO
}

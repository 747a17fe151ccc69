package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/store/merge"
)

// scan builds the index from the directories, and removes the parts of merged intervals that a kill has left.
func (s *Store) scan() error {
	kinds, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	parts := map[string]bool{}
	var found []*interval
	var r reader
	for _, k := range kinds {
		switch {
		case k.Name() == tmpDir || k.Name() == lockFile:
		case !k.IsDir() || !kindName.MatchString(k.Name()):
			s.reportForeign(k.Name(), "not the directory of a kind")
		default:
			list, err := s.scanKind(&r, k.Name())
			if err != nil {
				return err
			}
			found = append(found, list...)
		}
	}
	for _, in := range found {
		s.seq = max(s.seq, in.seq)
		for _, p := range in.parts {
			parts[p] = true
		}
	}
	for _, in := range found {
		if parts[in.path()] {
			s.remove(in.path())
			continue
		}
		s.insert(in, nil)
	}
	return nil
}

func (s *Store) scanKind(r *reader, kind string) (found []*interval, err error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, kind))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		l := level(0)
		for l < numLevels && l.String() != e.Name() {
			l++
		}
		if l == numLevels || !e.IsDir() {
			s.reportForeign(filepath.Join(kind, e.Name()), "not the directory of a level")
			continue
		}
		intervals, err := os.ReadDir(filepath.Join(s.dir, kind, e.Name()))
		if err != nil {
			return nil, err
		}
		for _, e := range intervals {
			in := &interval{kind: kind, level: l, name: e.Name()}
			in.start, in.length, in.seq, err = parseIntervalName(in.name)
			if err != nil || !e.IsDir() {
				s.reportForeign(in.path(), "not the directory of an interval")
				continue
			}
			if err := s.scanInterval(r, in); err != nil {
				return nil, err
			}
			found = append(found, in)
		}
	}
	return found, nil
}

// scanInterval fills in the rest of an interval: from its record or, if that is damaged, from the profiles.
func (s *Store) scanInterval(r *reader, in *interval) error {
	entries, err := os.ReadDir(filepath.Join(s.dir, in.path()))
	if err != nil {
		return err
	}
	sizes := make(map[string]int64, len(entries))
	in.bytes = onDisk(1)
	for _, e := range entries {
		info, err := e.Info()
		switch {
		case errors.Is(err, os.ErrNotExist): // removed just now
		case err != nil:
			return err
		case !info.Mode().IsRegular() || !strings.HasSuffix(e.Name(), extension):
			s.reportForeign(filepath.Join(in.path(), e.Name()), "not a profile")
		default:
			sizes[e.Name()] = info.Size()
			in.bytes += onDisk(info.Size())
		}
	}
	if err := s.loadRecord(r, in, sizes); err != nil {
		s.reportCorrupt(filepath.Join(in.path(), intervalFile), err)
		in.damaged.Store(true)
		in.files, in.all, in.parts, in.windows, in.covered, in.lost = nil, nil, nil, 1, in.length, 0
		for name := range sizes {
			if name != intervalFile && name != allFile {
				s.recover(r, in, name)
			}
		}
		return nil
	}
	for _, f := range in.files {
		if sizes[f.name] == 0 {
			s.corrupt(in, f, errors.New("empty file"))
		}
		delete(sizes, f.name)
	}
	if in.all != nil {
		delete(sizes, allFile)
	}
	delete(sizes, intervalFile)
	for name := range sizes {
		s.reportForeign(filepath.Join(in.path(), name), "not listed in "+intervalFile)
	}
	return nil
}

// loadRecord reads interval.pb.gz. Series whose files are not there any more were removed by hand.
func (s *Store) loadRecord(r *reader, in *interval, sizes map[string]int64) error {
	wire, err := r.read(filepath.Join(s.dir, in.path(), intervalFile))
	if err != nil {
		return err
	}
	var rec record
	if err := parseRecord(wire, recordComment, &rec); err != nil {
		return err
	}
	if err := rec.check(); err != nil {
		return err
	}
	in.windows, in.covered, in.lost, in.parts = rec.Windows, time.Duration(rec.Covered), rec.Lost, rec.Parts
	for _, sr := range rec.Series {
		s.mu.Lock()
		ser, err := s.series(in.kind, sr.Key)
		s.mu.Unlock()
		if err != nil {
			return err
		}
		if _, there := sizes[sr.File]; there {
			in.files = append(in.files, &file{series: ser, name: sr.File, samples: sr.Samples, value: sr.Value})
		}
	}
	if _, there := sizes[allFile]; there && rec.All && len(in.files) > 0 {
		in.all = &file{series: in.files[0].series, name: allFile}
	}
	return nil
}

// recover makes an entry of the index from a profile, which holds the identity of its series.
func (s *Store) recover(r *reader, in *interval, name string) {
	f := &file{name: name}
	err := func() error {
		wire, err := r.read(filepath.Join(s.dir, in.path(), name))
		if err != nil {
			return err
		}
		m := merge.New(0)
		if err := m.Add(wire); err != nil {
			return err
		}
		p := m.Profile()
		key, err := identityOf(p.Comments)
		if err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if f.series, err = s.series(in.kind, key); err != nil {
			return err
		}
		if sums := m.Sums(); len(sums) > 0 {
			f.samples, f.value = sums[0], sums[valueIndex(p)]
		}
		return nil
	}()
	if err != nil {
		s.reportCorrupt(filepath.Join(in.path(), name), err)
		return
	}
	in.files = append(in.files, f)
}

func identityOf(comments []string) (string, error) {
	for _, c := range comments {
		if key, ok := strings.CutPrefix(c, identityComment); ok {
			return key, nil
		}
	}
	return "", fmt.Errorf("no comment %q", identityComment)
}

package store

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func TestRetention(t *testing.T) {
	dir, c := t.TempDir(), &clock{day.Add(4 * time.Hour)}
	s := open(t, Options{Dir: dir, Now: c.now, MaxAge: 3*time.Hour + 30*time.Minute})
	for i := range 4 {
		add(t, s, simple(day.Add(time.Duration(i)*time.Hour), time.Hour, 1<<i, "a", "b"))
	}
	maintain(t, s)
	st := s.Status()
	if st.Intervals != 4 || st.Expired["age"] != 0 {
		t.Fatalf("status %+v", st)
	}
	c.t = c.t.Add(time.Hour)
	maintain(t, s)
	if st = s.Status(); st.Intervals != 3 || st.Expired["age"] != 1 || !st.Oldest.Equal(day.Add(time.Hour)) {
		t.Fatalf("status %+v", st)
	}
	s.opt.MaxBytes = st.Bytes - 1
	maintain(t, s)
	if st = s.Status(); st.Intervals != 2 || st.Expired["size"] != 1 || !st.Oldest.Equal(day.Add(2*time.Hour)) {
		t.Fatalf("status %+v", st)
	}
	var onDisk int64
	_ = filepath.Walk(filepath.Join(dir, "cpu"), func(_ string, info os.FileInfo, _ error) error {
		if !info.IsDir() {
			onDisk += (info.Size() + 4095) / 4096 * 4096
		}
		return nil
	})
	if onDisk+2*4096 != st.Bytes {
		t.Errorf("%d bytes on disk, status says %d", onDisk, st.Bytes)
	}
}

// TestClockBack: intervals of the same start, and of a stretch that was merged already, are kept and counted once.
func TestClockBack(t *testing.T) {
	dir, c := t.TempDir(), &clock{day.Add(time.Hour)}
	s := open(t, Options{Dir: dir, Now: c.now})
	want := int64(0)
	for range 3 {
		for i := range 6 {
			add(t, s, simple(day.Add(time.Duration(i)*10*time.Second), 10*time.Second, 1, "a"))
			want++
		}
		maintain(t, s)
	}
	add(t, s, simple(day, 10*time.Second, 1, "a"))
	want++
	for range 2 {
		r := query(t, s, Query{Kind: "cpu", From: day, To: day.Add(time.Minute)})
		if total(r.Profile) != want || r.Windows != int(want) || r.Lost != uint64(want) {
			t.Errorf("%d samples, %+v, want %d", total(r.Profile), r.Facts, want)
		}
		s.Close()
		s = open(t, Options{Dir: dir, Now: c.now})
	}
	c.t = day.Add(3 * time.Hour)
	maintain(t, s)
	if l := levels(s); l != [numLevels]int{0, 0, 1} {
		t.Errorf("levels %v", l)
	}
	if got := total(query(t, s, Query{Kind: "cpu", From: day, To: day.Add(time.Minute)}).Profile); got != want {
		t.Errorf("%d samples, want %d", got, want)
	}
}

// TestOtherTypes: profiles that cannot be added up are kept apart, and the newest are shown.
func TestOtherTypes(t *testing.T) {
	c := &clock{day.Add(time.Hour)}
	s := open(t, Options{Dir: t.TempDir(), Now: c.now})
	add(t, s, simple(day, time.Second, 1, "a"))
	in := simple(day.Add(time.Second), time.Second, 2, "a")
	in.Windows[0].Profile.SampleType[1].Unit = "microseconds"
	add(t, s, in)
	for range 2 {
		r := query(t, s, Query{Kind: "cpu", From: day, To: day.Add(time.Minute)})
		if total(r.Profile)+int64(r.Skipped) != 3 && total(r.Profile)+int64(r.Skipped) != 2 {
			t.Errorf("%d samples, %+v", total(r.Profile), r.Facts)
		}
		if r.Skipped != 1 {
			t.Errorf("facts %+v", r.Facts)
		}
		maintain(t, s)
	}
	if st := s.Status(); st.Compacted != 2 || st.Files != 2 {
		t.Errorf("status %+v", st)
	}
}

// TestConcurrent: queries see every interval once while they are added and merged.
func TestConcurrent(t *testing.T) {
	start := time.Now().Add(-24 * time.Hour).Truncate(time.Hour)
	s := open(t, Options{Dir: t.TempDir()})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Run(ctx) })
	for range 2 {
		wg.Go(func() {
			last := int64(0)
			for ctx.Err() == nil {
				r, err := s.Profile(context.Background(), Query{Kind: "cpu", From: start, To: start.Add(24 * time.Hour)})
				if err != nil {
					if last > 0 {
						t.Error(err)
					}
					continue
				}
				if n := total(r.Profile); n != 2*int64(r.Windows) || n < last {
					t.Errorf("%d samples of %d windows after %d", n, r.Windows, last)
					return
				} else {
					last = n
				}
				if _, err := s.Timeline("cpu", "a", start, start.Add(24*time.Hour), 100); err != nil {
					t.Error(err)
				}
				s.Status()
				s.Series("cpu", start, start.Add(24*time.Hour))
			}
		})
	}
	for i := range 150 {
		add(t, s, simple(start.Add(time.Duration(i)*30*time.Second), 30*time.Second, 1, "a", "b"))
	}
	cancel()
	wg.Wait()
	maintain(t, s)
	r := query(t, s, Query{Kind: "cpu", From: start, To: start.Add(24 * time.Hour)})
	if total(r.Profile) != 300 || r.Lost != 150 || s.Status().Corrupt != 0 {
		t.Errorf("%d samples, %+v, %+v", total(r.Profile), r.Facts, s.Status())
	}
	if l := levels(s); l[levelWindow]+l[level5m] != 0 {
		t.Errorf("levels %v: all of it is old enough for hours", l)
	}
	if left, _ := os.ReadDir(filepath.Join(s.dir, tmpDir)); len(left) != 0 {
		t.Errorf("left in tmp: %v", left)
	}
}

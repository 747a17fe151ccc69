package store

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func zipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b)
	w.Close()
	return out.Bytes()
}

// TestDamage: a damaged file is reported once and skipped; the others are used, and nothing is removed.
func TestDamage(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"truncated":   func(b []byte) []byte { return b[:len(b)-20] },
		"empty":       func([]byte) []byte { return nil },
		"garbage":     func([]byte) []byte { return []byte("not a profile at all") },
		"bits":        func(b []byte) []byte { b[len(b)/2] ^= 0x55; return b },
		"large":       func([]byte) []byte { return zipped(make([]byte, maxFile+1)) },
		"huge claims": func([]byte) []byte { return zipped([]byte{0x12, 0xff, 0xff, 0xff, 0xff, 0x7f, 1}) },
		"no strings":  func([]byte) []byte { return zipped([]byte{0x0a, 0}) },
	} {
		for _, victim := range []string{"a-*", intervalFile} {
			t.Run(name+" "+victim[:1], func(t *testing.T) {
				dir, c := t.TempDir(), &clock{day.Add(time.Minute)}
				log, text := logged()
				s := open(t, Options{Dir: dir, Now: c.now})
				for i := range 3 {
					add(t, s, simple(day.Add(time.Duration(i)*10*time.Second), 10*time.Second, 1<<i, "a", "b"))
				}
				s.Close()
				files, _ := filepath.Glob(filepath.Join(dir, "cpu/window/*", victim))
				b, err := os.ReadFile(files[1])
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(files[1], damage(b), 0o600); err != nil {
					t.Fatal(err)
				}
				s = open(t, Options{Dir: dir, Now: c.now, Log: log})
				want := int64(5)
				if victim == intervalFile {
					want = 7 // the profiles are good
				}
				for range 3 {
					r := query(t, s, Query{Kind: "cpu", Service: "a", From: day, To: day.Add(time.Minute)})
					if total(r.Profile) != want {
						t.Errorf("%d samples, want %d", total(r.Profile), want)
					}
					if _, err := s.Timeline("cpu", "", day, day.Add(time.Minute), 60); err != nil {
						t.Error(err)
					}
					maintain(t, s)
					c.t = day.Add(time.Hour)
				}
				if st := s.Status(); st.Corrupt != 1 || strings.Count(text.String(), "damaged") != 1 || !strings.Contains(text.String(), filepath.Base(files[1])) {
					t.Errorf("%d corrupt, logged %s", st.Corrupt, text)
				}
				if _, err := os.Stat(files[1]); err != nil {
					t.Error("the damaged file is gone")
				}
				if l := levels(s); l != [numLevels]int{1, 1, 0} {
					t.Errorf("levels %v: the good ones are merged, the damaged one is not", l)
				}
			})
		}
	}
}

// TestForeign: what is not of the store is reported and left alone; what a user removes is gone.
func TestForeign(t *testing.T) {
	dir, c := t.TempDir(), &clock{day.Add(time.Minute)}
	s := open(t, Options{Dir: dir, Now: c.now})
	for i := range 3 {
		add(t, s, simple(day.Add(time.Duration(i)*10*time.Second), 10*time.Second, 1<<i, "a", "b"))
	}
	intervals, _ := filepath.Glob(filepath.Join(dir, "cpu/window/*"))
	if err := os.RemoveAll(intervals[0]); err != nil {
		t.Fatal(err)
	}
	one, _ := filepath.Glob(filepath.Join(intervals[1], "a-*"))
	if err := os.Remove(one[0]); err != nil {
		t.Fatal(err)
	}
	q := Query{Kind: "cpu", From: day, To: day.Add(time.Minute)}
	if got := total(query(t, s, q).Profile); got != 2+8 {
		t.Errorf("%d samples", got)
	}
	c.t = day.Add(time.Hour)
	maintain(t, s)
	if got := total(query(t, s, q).Profile); got != 2+8 {
		t.Errorf("%d samples after merging", got)
	}
	s.Close()
	foreign := []string{"notes.txt", "cpu/old", "cpu/5m/readme", "cpu/5m/20260101T000000.000000000Z_1s", "cpu/window/x/y"}
	merged, _ := filepath.Glob(filepath.Join(dir, "cpu/5m/2*"))
	foreign = append(foreign, strings.TrimPrefix(merged[0], dir+"/")+"/other.pb.gz", strings.TrimPrefix(merged[0], dir+"/")+"/core")
	for _, f := range foreign {
		_ = os.MkdirAll(filepath.Dir(filepath.Join(dir, f)), 0o700)
		if err := os.WriteFile(filepath.Join(dir, f), []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, Options{Dir: dir, Now: c.now})
	if st := s.Status(); st.Foreign != uint64(len(foreign)) || st.Corrupt != 0 {
		t.Errorf("status %+v, want %d foreign", st, len(foreign))
	}
	if got := total(query(t, s, q).Profile); got != 2+8 {
		t.Errorf("%d samples", got)
	}
	for _, f := range foreign {
		if _, err := os.Stat(filepath.Join(dir, f)); err != nil {
			t.Error(err)
		}
	}
}

// TestNoSpace: a full disk pauses the history, and room lets it go on.
func TestNoSpace(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("cannot mount a tmpfs, which needs root: %v", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	c := &clock{day}
	s := open(t, Options{Dir: dir, Now: c.now})
	defer s.Close()
	kept := int64(0)
	var err error
	for i := 0; err == nil && i < 1000; i++ {
		if err = s.Add(simple(day.Add(time.Duration(i)*10*time.Second), 10*time.Second, 1, "a", "b")); err == nil {
			kept++
		}
	}
	st := s.Status()
	if st.Paused != "no_space" || st.Dropped["no_space"] != 2 || st.Written != uint64(2*kept) || kept == 0 {
		t.Fatalf("error %v, status %+v", err, st)
	}
	check := func() {
		t.Helper()
		r := query(t, s, Query{Kind: "cpu", From: day, To: day.Add(24 * time.Hour)})
		if total(r.Profile) != 2*kept || s.Status().Corrupt != 0 {
			t.Errorf("%d samples, %+v, want %d", total(r.Profile), s.Status(), 2*kept)
		}
	}
	check()
	// Fill the last byte: merging then fails, and loses nothing.
	if f, err := os.Create(filepath.Join(dir, "filler")); err == nil {
		for err == nil {
			_, err = f.Write(make([]byte, 4096))
		}
		f.Close()
	}
	c.t = day.Add(24 * time.Hour)
	if err := s.maintain(t.Context()); err == nil || s.Status().Failed != 1 {
		t.Errorf("merging without room: %v, %+v", err, s.Status())
	}
	check()
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=8m"); err != nil {
		t.Fatal(err)
	}
	add(t, s, simple(day.Add(20*time.Hour), 10*time.Second, 1, "a", "b"))
	kept++
	if st := s.Status(); st.Paused != "" || st.Dropped["no_space"] != 2 {
		t.Errorf("status %+v", st)
	}
	maintain(t, s)
	check()
	s.Close()
	s = open(t, Options{Dir: dir, Now: c.now})
	check()
	s.Close()
}

func FuzzFiles(f *testing.F) {
	f.Add([]byte{}, true)
	f.Add(zipped([]byte{0x32, 0, 0x68, 1}), true)
	f.Add(zipped([]byte("\x32\x00\x32\x26ebpfprof interval: {\"windows\":1,\"x\":1}\x68\x01")), true)
	dir := f.TempDir()
	s := open(f, Options{Dir: dir})
	add(f, s, simple(day, time.Second, 1, "a"))
	s.Close()
	record, _ := filepath.Glob(filepath.Join(dir, "cpu/window/*", intervalFile))
	b, err := os.ReadFile(record[0])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b, true)
	f.Fuzz(func(t *testing.T, data []byte, index bool) {
		dir := t.TempDir()
		in := filepath.Join(dir, "cpu/window", intervalName(day, time.Second, 1))
		if err := os.MkdirAll(in, 0o700); err != nil {
			t.Fatal(err)
		}
		name := "a-0123456789abcdef.pb.gz"
		if index {
			name = intervalFile
		}
		if err := os.WriteFile(filepath.Join(in, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, Options{Dir: dir, Now: func() time.Time { return day.Add(time.Hour) }, MaxAge: -1, MaxBytes: -1})
		_, _ = s.Profile(t.Context(), Query{Kind: "cpu", From: day, To: day.Add(time.Second)})
		_, _ = s.Timeline("cpu", "", day, day.Add(time.Second), 10)
		_ = s.maintain(t.Context())
		s.Close()
	})
}

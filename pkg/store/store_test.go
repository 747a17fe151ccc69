package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
	"github.com/ebpfprof/ebpfprof/pkg/store/internal/workload"
)

// day is where the tests' time starts: the start of an hour.
var day = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

// A clock is set by hand.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func open(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// simple returns an interval in which each service has one stack with n samples.
func simple(start time.Time, d time.Duration, n int64, services ...string) *profile.Interval {
	in := &profile.Interval{Kind: "cpu", Start: start, Duration: d, Lost: 1}
	for _, service := range services {
		b := profile.NewBuilder(profile.BuilderOptions{
			SampleTypes: []profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
			PeriodType:  profile.ValueType{Type: "cpu", Unit: "nanoseconds"}, Period: 10, Start: start, Duration: d,
		})
		b.Sample([]*pprof.Location{b.Marker("main")}, profile.Labels{}, n, 10*n)
		in.Windows = append(in.Windows, &profile.Window{
			Series: profile.Series{Kind: "cpu", Service: service}, Profile: b.Profile()})
	}
	return in
}

func add(t testing.TB, s *Store, in *profile.Interval) {
	t.Helper()
	if err := s.Add(in); err != nil {
		t.Fatal(err)
	}
}

func maintain(t testing.TB, s *Store) {
	t.Helper()
	if err := s.maintain(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func query(t testing.TB, s *Store, q Query) *Result {
	t.Helper()
	r, err := s.Profile(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Profile.CheckValid(); err != nil {
		t.Fatal(err)
	}
	return r
}

func total(p *pprof.Profile) (sum int64) {
	for _, s := range p.Sample {
		sum += s.Value[0]
	}
	return sum
}

func levels(s *Store) (n [numLevels]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, list := range s.intervals {
		for _, in := range list {
			n[in.level]++
		}
	}
	return n
}

// TestSameAsMerge: what went in comes out, whether it was merged on disk or not, and after the store was opened again.
func TestSameAsMerge(t *testing.T) {
	dir, c := t.TempDir(), &clock{day}
	s := open(t, Options{Dir: dir, Now: c.now})
	m := workload.New("cpu", 3, 1)
	var all, one []*pprof.Profile
	lost := uint64(0)
	for i := range 80 {
		in := m.Interval(day.Add(time.Duration(i)*time.Minute), time.Minute)
		add(t, s, in)
		lost += in.Lost
		for n, w := range in.Windows {
			all = append(all, w.Profile)
			if n == 1 {
				one = append(one, w.Profile)
			}
		}
	}
	check := func(want [numLevels]int) {
		t.Helper()
		if got := levels(s); got != want {
			t.Errorf("levels %v, want %v", got, want)
		}
		for service, list := range map[string][]*pprof.Profile{"": all, "service-01": one} {
			merged, err := pprof.Merge(list)
			if err != nil {
				t.Fatal(err)
			}
			r := query(t, s, Query{Kind: "cpu", Service: service, From: day, To: day.Add(80 * time.Minute)})
			if total(r.Profile) != total(merged) || len(r.Profile.Sample) != len(merged.Sample) ||
				len(r.Profile.Location) != len(merged.Location) || len(r.Profile.Function) != len(merged.Function) {
				t.Errorf("%q: %d in %d samples, want %d in %d", service, total(r.Profile), len(r.Profile.Sample), total(merged), len(merged.Sample))
			}
			if r.Lost != lost || r.Windows != 80 || r.Covered != 80*time.Minute || !r.From.Equal(day) || !r.To.Equal(day.Add(80*time.Minute)) {
				t.Errorf("facts %+v, want %d lost", r.Facts, lost)
			}
			if !slices.Contains(r.Profile.Comments, profile.LostComment(int64(lost))) || len(r.Profile.Comments) != 1 {
				t.Errorf("comments %q", r.Profile.Comments)
			}
		}
		for _, buckets := range []int{1, 7, 80, 1000} {
			tl, err := s.Timeline("cpu", "", day, day.Add(80*time.Minute), buckets)
			if err != nil {
				t.Fatal(err)
			}
			var sum Bucket
			for _, b := range tl.Buckets {
				sum.Samples, sum.Lost, sum.Covered = sum.Samples+b.Samples, sum.Lost+b.Lost, sum.Covered+b.Covered
			}
			merged, _ := pprof.Merge(all)
			if sum.Samples != total(merged) || sum.Lost != lost || sum.Covered != 80*time.Minute || tl.Unit != "nanoseconds" {
				t.Errorf("%d buckets: %+v of %s, want %d samples", buckets, sum, tl.Unit, total(merged))
			}
		}
	}
	check([numLevels]int{80, 0, 0})
	c.t = day.Add(80 * time.Minute)
	maintain(t, s)
	check([numLevels]int{5, 15, 0})
	c.t = day.Add(121 * time.Minute)
	maintain(t, s)
	check([numLevels]int{0, 4, 1})
	before := s.Status()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, Options{Dir: dir, Now: c.now})
	check([numLevels]int{0, 4, 1})
	after := s.Status()
	if after.Bytes != before.Bytes || after.Files != before.Files || after.Series != 3 || after.Corrupt+after.Foreign != 0 ||
		!after.Oldest.Equal(day) || !after.Newest.Equal(day.Add(80*time.Minute)) {
		t.Errorf("status %+v, was %+v", after, before)
	}
	if list := s.Series("cpu", day, day.Add(time.Hour)); len(list) != 3 || list[0].Labels["namespace"] == "" {
		t.Errorf("series %+v", list)
	}
	r := query(t, s, Query{Kind: "cpu", Labels: []Matcher{{"namespace", "=~", "team-[12]"}, {"pod", "!=", "service-02-7d4b9"}}, From: day, To: day.Add(2 * time.Hour)})
	if total(r.Profile) != total(query(t, s, Query{Kind: "cpu", Service: "service-01", From: day, To: day.Add(2 * time.Hour)}).Profile) {
		t.Error("matchers do not choose service-01")
	}
}

// TestRange: an interval is in the range that its middle is in; where intervals are longer than the range, they are used.
func TestRange(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	for i := range 6 {
		add(t, s, simple(day.Add(time.Duration(i)*10*time.Second), 10*time.Second, 1<<i, "a"))
	}
	for _, c := range []struct {
		from, to, want int64 // seconds; sum of 1<<i
	}{{0, 60, 63}, {0, 30, 7}, {30, 60, 56}, {4, 36, 15}, {6, 34, 6}, {11, 13, 2}, {9, 12, 3}, {18, 22, 6}} {
		r := query(t, s, Query{Kind: "cpu", From: day.Add(time.Duration(c.from) * time.Second), To: day.Add(time.Duration(c.to) * time.Second)})
		if total(r.Profile) != c.want {
			t.Errorf("%d to %d: %b, want %b", c.from, c.to, total(r.Profile), c.want)
		}
		if r.To.Sub(r.From) != r.Covered {
			t.Errorf("%d to %d: facts %+v", c.from, c.to, r.Facts)
		}
	}
	_, err := s.Profile(context.Background(), Query{Kind: "cpu", From: day.Add(time.Hour), To: day.Add(2 * time.Hour)})
	if !errors.Is(err, ErrNoData) {
		t.Errorf("error %v", err)
	}
	if _, err := s.Profile(context.Background(), Query{Kind: "cpu", Service: "b", From: day, To: day.Add(time.Hour)}); !errors.Is(err, ErrNoData) {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Profile(ctx, Query{Kind: "cpu", From: day, To: day.Add(time.Hour)}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestHostileNames: any name of a service is safe, and is found again.
func TestHostileNames(t *testing.T) {
	names := []string{"a", "../../etc/passwd", "..", ".", "/", "a/b", "interval", "-rf", "a\x00b\n\x1b[2J", "\xff\xfe", "日本語",
		strings.Repeat("x", 64<<10), strings.Repeat("\x01", 30<<10), "tmp", "lock", strings.Repeat("é", 200)}
	dir := t.TempDir()
	s := open(t, Options{Dir: filepath.Join(dir, "in", "side")})
	add(t, s, simple(day, time.Second, 3, names...))
	s.Close()
	s = open(t, Options{Dir: filepath.Join(dir, "in", "side")})
	for _, name := range names {
		if got := total(query(t, s, Query{Kind: "cpu", Service: name, From: day, To: day.Add(time.Second)}).Profile); got != 3 {
			t.Errorf("%.40q: %d", name, got)
		}
	}
	if n := len(s.Series("cpu", day, day.Add(time.Second))); n != len(names) {
		t.Errorf("%d series, want %d", n, len(names))
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 1 {
		t.Errorf("written outside: %v", entries)
	}
	files, _ := filepath.Glob(filepath.Join(s.dir, "cpu", "window", "*", "*"))
	if len(files) != len(names)+2 {
		t.Errorf("%d files", len(files))
	}
	for _, f := range files {
		if base := filepath.Base(f); len(base) > 120 || strings.ContainsFunc(base, func(r rune) bool { return r < '%' || r > 'z' }) || base[0] == '.' || base[0] == '-' {
			t.Errorf("file name %q", base)
		}
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pprof.ParseData(b); err != nil {
			t.Errorf("google/pprof cannot read %s: %v", f, err)
		}
	}
}

func TestInvalid(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	for _, kind := range []string{"", "..", "a/b", "tmp", "lock", strings.Repeat("k", 65), ".hidden"} {
		in := simple(day, time.Second, 1, "a")
		in.Kind = kind
		if s.Add(in) == nil {
			t.Errorf("kind %q is taken", kind)
		}
	}
	for _, in := range []*profile.Interval{simple(day, 0, 1, "a"), simple(time.Time{}, time.Second, 1, "a"), simple(day, -1, 1, "a")} {
		if s.Add(in) == nil {
			t.Errorf("%v %v is taken", in.Start, in.Duration)
		}
	}
	in := simple(day, time.Second, 1, "a", "b", strings.Repeat("x", 300<<10))
	in.Windows[0].Profile.Sample[0].Value = nil
	add(t, s, in)
	if st := s.Status(); st.Written != 1 || st.Dropped["invalid"] != 12 || st.Files != 1 {
		t.Errorf("status %+v", st)
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	_, err := Open(Options{Dir: dir})
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("error %v", err)
	}
	s.Close()
	if err := s.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	if err := s.Add(simple(day, 1, 1, "a")); !errors.Is(err, ErrClosed) {
		t.Errorf("error %v", err)
	}
	open(t, Options{Dir: dir})
}

// logged returns a logger and what was logged.
func logged() (*slog.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	return slog.New(slog.NewTextHandler(&b, nil)), &b
}

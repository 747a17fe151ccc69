package store

import (
	"testing"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// inuse returns an interval of a level, in which each service has objects of 100 bytes.
func inuse(start time.Time, d time.Duration, objects map[string]int64) *profile.Interval {
	in := &profile.Interval{Kind: "inuse_space", Start: start, Duration: d}
	for _, service := range []string{"a", "b"} {
		n, ok := objects[service]
		if !ok {
			continue
		}
		b := profile.NewBuilder(profile.BuilderOptions{
			SampleTypes: []profile.ValueType{{Type: "inuse_objects", Unit: "count"}, {Type: "inuse_space", Unit: "bytes"}},
			PeriodType:  profile.ValueType{Type: "space", Unit: "bytes"}, Period: 512 << 10, Start: start, Duration: d,
		})
		b.Sample([]*pprof.Location{b.Marker("main")}, profile.Labels{}, n, 100*n)
		in.Windows = append(in.Windows, &profile.Window{Series: profile.Series{Kind: in.Kind, Service: service}, Profile: b.Profile()})
	}
	return in
}

// TestLevel: of what is in use, a span has the mean of its readings, however they were merged. Of two hours, a has 600
// objects in the first and 1200 in the second; b has 200 in every other window of the first.
func TestLevel(t *testing.T) {
	c := &clock{day}
	s := open(t, Options{Dir: t.TempDir(), Now: c.now})
	const step = 150 * time.Second
	for i := range 48 {
		objects := map[string]int64{"a": 600}
		if i >= 24 {
			objects["a"] = 1200
		} else if i%2 == 0 {
			objects["b"] = 200
		}
		add(t, s, inuse(day.Add(time.Duration(i)*step), step, objects))
	}
	check := func(when string) {
		t.Helper()
		for _, q := range []struct {
			service  string
			from, to time.Duration
			want     int64
		}{
			{"a", 0, time.Hour, 600}, {"a", time.Hour, 2 * time.Hour, 1200}, {"a", 0, 2 * time.Hour, 900},
			{"b", 0, time.Hour, 100}, {"b", 0, 2 * time.Hour, 50}, {"", 0, time.Hour, 700},
		} {
			r := query(t, s, Query{Kind: "inuse_space", Service: q.service, From: day.Add(q.from), To: day.Add(q.to)})
			var bytes int64
			for _, sample := range r.Profile.Sample {
				bytes += sample.Value[1]
			}
			if n := total(r.Profile); n != q.want || bytes != 100*q.want {
				t.Errorf("%s: %q from %s to %s: %d objects, %d bytes, want %d", when, q.service, q.from, q.to, n, bytes, q.want)
			}
		}
		for _, buckets := range []int{1, 2, 8} { // shorter ones than an hour are read from its rows
			line, err := s.Timeline("inuse_space", "a", day, day.Add(2*time.Hour), buckets)
			if err != nil {
				t.Fatal(err)
			}
			for i, b := range line.Buckets {
				want := int64(60_000)
				if i >= len(line.Buckets)/2 {
					want = 120_000
				}
				if buckets == 1 {
					want = 90_000
				}
				if b.Value != want || b.Samples != want/100 {
					t.Errorf("%s: bucket %d of %d is %d bytes, %d objects, want %d", when, i, buckets, b.Value, b.Samples, want)
				}
			}
		}
	}
	check("windows")
	c.t = day.Add(2*time.Hour + 15*time.Minute)
	maintain(t, s)
	if n := levels(s); n[level5m] == 0 || n[levelWindow] != 0 {
		t.Fatalf("levels %v, want merged ones", n)
	}
	check("merged")
	c.t = day.Add(4 * time.Hour)
	maintain(t, s)
	if n := levels(s); n[level1h] != 2 || n[level5m] != 0 {
		t.Fatalf("levels %v, want two hours", n)
	}
	check("hours")
	s = open(t, Options{Dir: reopened(t, s), Now: c.now})
	check("opened again")
}

func reopened(t *testing.T, s *Store) string {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return s.dir
}

// A timeline's bucket that is shorter than a reading has the reading, not a share of it; one that reaches over a gap has
// the mean of what is covered.
func TestLevelTimeline(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir(), Now: (&clock{day}).now})
	add(t, s, inuse(day, 20*time.Second, map[string]int64{"a": 10}))
	add(t, s, inuse(day.Add(40*time.Second), 20*time.Second, map[string]int64{"a": 30}))
	for buckets, want := range map[int][]int64{1: {2000}, 2: {1000, 3000}, 6: {1000, 1000, 0, 0, 3000, 3000}} {
		line, err := s.Timeline("inuse_space", "", day, day.Add(time.Minute), buckets)
		if err != nil {
			t.Fatal(err)
		}
		for i, b := range line.Buckets {
			if b.Value != want[i] || (b.Covered > 0) != (want[i] > 0) {
				t.Errorf("bucket %d of %d: %d bytes, %s covered, want %d", i, buckets, b.Value, b.Covered, want[i])
			}
		}
	}
}

package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// now is the time of every test.
var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// A fakeHistory has the windows that a test gives it.
type fakeHistory struct {
	windows []fakeWindow
	err     error
	block   chan struct{} // if not nil, Profile waits for it
}

type fakeWindow struct {
	profile.Window
	start  time.Time
	length time.Duration
	lost   uint64
}

func (h *fakeHistory) Series(_ context.Context, kind string, from, to time.Time) ([]profile.Series, error) {
	var out []profile.Series
	for _, w := range h.windows {
		if w.Kind == kind && w.start.Before(to) && w.start.Add(w.length).After(from) {
			out = append(out, w.Series)
		}
	}
	return out, h.err
}

func (h *fakeHistory) Timeline(_ context.Context, q TimelineQuery) ([]TimelineBucket, error) {
	out := make([]TimelineBucket, q.Buckets)
	for _, w := range h.windows {
		i := int(w.start.Sub(q.From) / (q.To.Sub(q.From) / time.Duration(q.Buckets)))
		if w.Kind != q.Kind || q.Service != "" && w.Service != q.Service || i < 0 || i >= len(out) {
			continue
		}
		out[i].Covered, out[i].Lost = true, out[i].Lost+w.lost
		for _, s := range w.Profile.Sample {
			out[i].Value += s.Value[len(s.Value)-1]
		}
	}
	return out, h.err
}

func (h *fakeHistory) Profile(ctx context.Context, q Query) (*pprof.Profile, Coverage, error) {
	if h.block != nil {
		select {
		case <-h.block:
		case <-ctx.Done():
			return nil, Coverage{}, ctx.Err()
		}
	}
	var c Coverage
	var found []*pprof.Profile
	for _, w := range h.windows {
		want := maps.Clone(q.Labels)
		maps.DeleteFunc(want, func(name, v string) bool { return w.Labels[name] == v })
		if w.Kind != q.Kind || q.Service != "" && w.Service != q.Service || len(want) > 0 ||
			!w.start.Before(q.To) || !w.start.Add(w.length).After(q.From) {
			continue
		}
		found = append(found, w.Profile.Copy())
		c.Windows++
		c.Lost += w.lost
		c.Covered += w.length
		if c.From.IsZero() || w.start.Before(c.From) {
			c.From = w.start
		}
		if end := w.start.Add(w.length); end.After(c.To) {
			c.To = end
		}
	}
	if len(found) == 0 || h.err != nil {
		return nil, c, h.err
	}
	p, err := pprof.Merge(found)
	return p, c, err
}

// A stackCount is a sample of a made-up profile; names are root first.
type stackCount struct {
	comm  string
	names []string
	count int64
}

func window(service string, start time.Time, length time.Duration, samples ...stackCount) fakeWindow {
	k := KindStatus{Name: "cpu", Unit: "nanoseconds", Period: 10_000_000}
	b := profile.NewBuilder(builderOptions(k, start, length, profile.LostComment(0)))
	m := profile.Mapping{Start: 0x1000, Limit: 0x100000, File: "/usr/bin/" + service, BuildID: "aabb"}
	for _, s := range samples {
		var locations []*pprof.Location
		for i := len(s.names) - 1; i >= 0; i-- {
			locations = append(locations, b.Location(m, address(s.names[i]), []profile.Frame{{Name: s.names[i]}}))
		}
		b.Sample(locations, profile.Labels{Comm: s.comm, PID: 7, TID: 8, Service: service}, s.count, s.count*k.Period)
	}
	return fakeWindow{
		Window: profile.Window{Series: profile.Series{Kind: "cpu", Service: service, Labels: map[string]string{"namespace": "web"}}, Profile: b.Profile()},
		start:  start, length: length,
	}
}

// address makes one up for a name.
func address(name string) uint64 {
	a := uint64(0x1000)
	for _, c := range []byte(name) {
		a = (a*31 + uint64(c)) % 0xf0000
	}
	return a + 0x1000
}

// A fakeFeed delivers what a test sends.
type fakeFeed struct {
	mu      sync.Mutex
	readers map[chan *profile.LiveBatch]bool
	joined  chan struct{} // gets one for each subscription
	past    []*profile.LiveBatch
	naming  chan struct{} // what the past waits for, unless nil
	err     error
}

func newFakeFeed() *fakeFeed {
	return &fakeFeed{readers: map[chan *profile.LiveBatch]bool{}, joined: make(chan struct{}, 1000)}
}

func (f *fakeFeed) Subscribe(kind string) (<-chan *profile.LiveBatch, func(), error) {
	if f.err != nil {
		return nil, nil, f.err
	}
	if kind != "cpu" {
		return nil, nil, errors.New("not sampled")
	}
	c := make(chan *profile.LiveBatch, 4)
	f.mu.Lock()
	f.readers[c] = true
	f.mu.Unlock()
	f.joined <- struct{}{}
	return c, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.readers, c)
	}, nil
}

func (f *fakeFeed) Past(kind string, since time.Time) iter.Seq[*profile.LiveBatch] {
	return func(yield func(*profile.LiveBatch) bool) {
		if f.naming != nil {
			<-f.naming
		}
		for _, b := range f.past {
			if kind == "cpu" && b.End.After(since) && !yield(b) {
				return
			}
		}
	}
}

// send gives b to every reader that has room, as an agent does.
func (f *fakeFeed) send(b *profile.LiveBatch) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.readers {
		select {
		case c <- b:
		default:
		}
	}
}

func (f *fakeFeed) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.readers)
}

func (f *fakeFeed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.readers {
		close(c)
	}
}

func testStatus() Status {
	return Status{
		Version: "v1.2.3", Started: now.Add(-time.Hour), Ready: true,
		Kinds: []KindStatus{
			{Name: "cpu", Unit: "nanoseconds", Period: 10_000_000, Active: true, Fired: 12, Samples: 10, Lost: map[string]uint64{"ring_full": 2}},
			{Name: "off_cpu", Unit: "nanoseconds", Problem: "no such tracepoint"},
		},
		Overhead: OverheadStatus{KernelSeconds: 1.5, UserSeconds: 2.5, RSSBytes: 40 << 20, KernelBytes: 20 << 20, CPUs: 2},
		Counting: &CountingStatus{Cannot: []CountingProblem{{[]string{"cycles"}, "no hardware PMU"}}},
		Store:    &StoreStatus{Bytes: 1 << 20, Files: 12, Series: 3, Written: 99, Dropped: map[string]uint64{"no_space": 1}, Paused: "no space left"},
		Push: []PushStatus{{Target: "pyroscope", URL: "http://p:4040", Requests: map[string]uint64{"ok": 5}, Pushed: 50,
			Dropped: map[string]uint64{"too_old": 3}, SpooledBytes: 4096, SpooledFiles: 1, LastError: "connection refused"}},
		Config: ConfigStatus{Successful: true, LastSuccess: now.Add(-time.Hour)},
	}
}

// fakeHeap knows the heap of one service.
func fakeHeap(_ context.Context, q HeapQuery) (*pprof.Profile, error) {
	switch q.Service {
	case "nginx":
	case "db":
		return nil, fmt.Errorf("%w of db: process 7 (db): it is not Go's", ErrNoHeap)
	default:
		return nil, fmt.Errorf("%w: %s", ErrNoService, q.Service)
	}
	b := profile.NewBuilder(profile.BuilderOptions{
		SampleTypes: []profile.ValueType{{Type: "alloc_space", Unit: "bytes"}, {Type: "inuse_space", Unit: "bytes"}},
		DefaultType: q.Value, Duration: q.Over, Comments: q.Comments,
	})
	b.Sample([]*pprof.Location{b.Marker("main")}, profile.Labels{Service: q.Service}, 1000, 10)
	return b.Profile(), nil
}

// A fixture is a server with sources that the test drives.
type fixture struct {
	*Server
	history *fakeHistory
	feed    *fakeFeed
}

func newFixture(t testing.TB, change ...func(*Options)) *fixture {
	t.Helper()
	f := &fixture{history: &fakeHistory{}, feed: newFakeFeed()}
	f.history.windows = []fakeWindow{
		window("nginx", now.Add(-2*time.Minute), 10*time.Second,
			stackCount{"nginx", []string{"main", "serve", "read"}, 30}, stackCount{"nginx", []string{"main", "serve"}, 10}),
		window("nginx", now.Add(-1*time.Minute), 10*time.Second, stackCount{"nginx", []string{"main", "idle"}, 5}),
		window("db", now.Add(-1*time.Minute), 10*time.Second, stackCount{"db", []string{"main", "query"}, 20}),
		window("nginx", now.Add(-90*time.Minute), 20*time.Second,
			stackCount{"nginx", []string{"main", "serve", "read"}, 20}, stackCount{"nginx", []string{"main", "old"}, 6}),
	}
	o := Options{History: f.history, Feed: f.feed, Status: testStatus, Reload: func(context.Context) error { return nil }, Now: func() time.Time { return now }, Heap: fakeHeap}
	for _, c := range change {
		c(&o)
	}
	f.Server = New(o)
	t.Cleanup(f.stop)
	return f
}

// request answers one request without a connection.
func (f *fixture) request(method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	r.Host = "127.0.0.1:9780"
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		} else {
			r.Header.Set(header[i], header[i+1])
		}
	}
	w := httptest.NewRecorder()
	f.Handler().ServeHTTP(w, r)
	return w
}

func (f *fixture) get(t testing.TB, target string) []byte {
	t.Helper()
	w := f.request("GET", target)
	if w.Code != http.StatusOK {
		t.Fatalf("GET %s: %d %s", target, w.Code, w.Body)
	}
	return w.Body.Bytes()
}

func readAll(t testing.TB, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

package pyroscope_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/export"
	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
	"github.com/ebpfprof/ebpfprof/test/pyroscope"
)

// A clock stands still until it is told to go on.
type clock struct {
	mu     sync.Mutex
	now    time.Time
	alarms []alarm
}

type alarm struct {
	at time.Time
	c  chan time.Time
}

func newClock() *clock { return &clock{now: time.Now()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := alarm{c.now.Add(d), make(chan time.Time, 1)}
	c.alarms = append(c.alarms, a)
	return a.c
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	var left []alarm
	for _, a := range c.alarms {
		if a.at.After(c.now) {
			left = append(left, a)
		} else {
			a.c <- c.now
		}
	}
	c.alarms = left
}

// interval returns ten seconds of one kind for some services, each with stacks of one sample of each of two threads.
func interval(kind string, start time.Time, services, stacks int) *prof.Interval {
	iv := &prof.Interval{Kind: kind, Start: start, Duration: 10 * time.Second}
	for s := range services {
		b := prof.NewBuilder(prof.BuilderOptions{
			SampleTypes: []prof.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
			PeriodType:  prof.ValueType{Type: "cpu", Unit: "nanoseconds"}, Period: 10101010,
			Start: start, Duration: iv.Duration,
		})
		exe := prof.Mapping{Start: 0x1000, Limit: 1 << 40, File: "/usr/bin/exe", BuildID: "abcd"}
		root := b.Location(exe, 0x1000, []prof.Frame{{Name: "inlined", File: "a.c", Line: 3}, {Name: "main", File: "a.c", Line: 9}})
		for i := range stacks {
			leaf := b.Location(exe, uint64(0x2000+i), []prof.Frame{{Name: fmt.Sprintf("leaf%d", i), File: "b.c", Line: int64(i)}})
			for tid := int64(1); tid <= 2; tid++ {
				b.Sample([]*profile.Location{leaf, root}, prof.Labels{Comm: "c", PID: 7, TID: tid, Service: "s"}, 1, 10101010)
			}
		}
		iv.Windows = append(iv.Windows, &prof.Window{
			Series:  prof.Series{Kind: kind, Service: fmt.Sprintf("service-%03d", s), Labels: map[string]string{"pod": "p"}},
			Profile: b.Profile(),
		})
	}
	return iv
}

// serve runs a fake on a port that it keeps.
func serve(t *testing.T, s *pyroscope.Server) *httptest.Server {
	t.Helper()
	h := httptest.NewServer(s.Handler())
	t.Cleanup(h.Close)
	return h
}

// listen runs a fake at an address, until the returned function is called.
func listen(t *testing.T, s *pyroscope.Server, address string) (stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	h := &http.Server{Handler: s.Handler()}
	go h.Serve(l)
	t.Cleanup(func() { h.Close() })
	return func() { h.Close() }
}

// freeAddress returns an address on which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func newExporter(t *testing.T, o export.Options) *export.Exporter {
	t.Helper()
	e, err := export.NewPyroscope(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// run runs an exporter until the end of the test or the call of the returned function.
func run(t *testing.T, e *export.Exporter) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// eventually waits for something that must come to be; the time is to end a test that hangs.
func eventually(t *testing.T, e *export.Exporter, what string, ok func(export.Status) bool) export.Status {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		s := e.Status()
		if ok(s) {
			return s
		}
		if time.Now().After(end) {
			t.Fatalf("%s never came to be: %+v", what, s)
		}
	}
}

// dropped sums up.
func dropped(s export.Status) (n uint64) {
	for _, d := range s.Dropped {
		n += d
	}
	return n
}

// settled: every profile is somewhere.
func settled(s export.Status) bool {
	return s.Queued == 0 && s.Added == s.Empty+s.Pushed+dropped(s)+uint64(s.Memory.Profiles)+uint64(s.Spool.Profiles)
}

// nothingWaits: every profile is pushed or dropped.
func nothingWaits(s export.Status) bool {
	return settled(s) && s.Memory.Profiles == 0 && s.Spool.Profiles == 0
}

// totals adds up the values of profiles by service, and checks each with pprof's own reader.
func totals(t *testing.T, profiles []pyroscope.Profile) map[string]int64 {
	t.Helper()
	sums := make(map[string]int64)
	for _, p := range profiles {
		parsed, err := profile.Parse(bytes.NewReader(p.Raw))
		if err != nil {
			t.Fatalf("profile of %s: %v", p.Service, err)
		}
		for _, s := range parsed.Sample {
			sums[p.Service] += s.Value[len(s.Value)-1]
		}
	}
	return sums
}

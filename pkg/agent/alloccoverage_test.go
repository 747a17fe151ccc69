package agent

import (
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// Between two moments, it is what was covered between them, however they lie to its points; what is old is forgotten, and
// there never are many.
func TestCoverageLog(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	var l coverageLog
	l.begin(start, time.Minute)
	sum := profile.Coverage{}
	point := func(s float64, probed time.Duration, hits int64) {
		sum = sum.Add(profile.Coverage{Probed: probed, Hits: hits})
		l.add(coveragePoint{at(s), sum})
	}
	point(10, 0, 0)
	point(12, 2*time.Second, 1000) // a window of 2 s
	point(20, 0, 0)
	for _, c := range []struct {
		from, to float64
		probed   time.Duration
		hits     int64
	}{{0, 20, 2 * time.Second, 1000}, {11, 15, time.Second, 500}, {0, 10, 0, 0}, {12, 30, 0, 0}, {10.5, 11.5, time.Second, 500}} {
		got := l.at(at(c.to)).Since(l.at(at(c.from)))
		if got.Probed != c.probed || got.Hits != c.hits {
			t.Errorf("from %g to %g: %+v", c.from, c.to, got)
		}
	}
	for i := range 20_000 {
		point(20+float64(i)/1000, time.Millisecond/2, 1)
	}
	if n := len(l.points); n > maxCoveragePoints+1 {
		t.Errorf("%d points", n)
	}
	if got := l.at(at(40)).Since(l.at(at(30))); (got.Probed - 5*time.Second).Abs() > 50*time.Millisecond {
		t.Errorf("of many points: %+v", got)
	}
	point(500, 0, 0)
	point(501, 0, 0)
	if n := len(l.points); n != 3 || l.last() != sum {
		t.Errorf("%d points after a long time, and %+v, want %+v", n, l.last(), sum)
	}
}

// A fakeAllocKernel hits its probes at a rate while they are in place.
type fakeAllocKernel struct {
	mu    sync.Mutex
	rate  float64 // of each account, in hits a second
	since map[int]time.Time
	hits  map[int]float64
	put   int
	taken int
}

func (k *fakeAllocKernel) ProbeAllocs(_ int, _ string, probes []loader.AllocProbe) (io.Closer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.put++
	account := probes[0].Account
	if k.since[account].IsZero() {
		k.since[account] = time.Now()
	}
	return fakeProbes{k, account}, nil
}

type fakeProbes struct {
	k       *fakeAllocKernel
	account int
}

func (p fakeProbes) Close() error {
	p.k.mu.Lock()
	defer p.k.mu.Unlock()
	p.k.taken++
	if at := p.k.since[p.account]; !at.IsZero() {
		p.k.hits[p.account] += time.Since(at).Seconds() * p.k.rate
		p.k.since[p.account] = time.Time{}
	}
	return nil
}

func (k *fakeAllocKernel) AllocHits(account int) (loader.AllocHits, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := k.hits[account]
	if at := k.since[account]; !at.IsZero() {
		n += time.Since(at).Seconds() * k.rate
	}
	return loader.AllocHits{Emulated: uint64(n)}, nil
}

func (k *fakeAllocKernel) CalibrateAllocs() (loader.HitCost, error) {
	return loader.HitCost{Emulated: time.Microsecond, Stepped: 10 * time.Microsecond}, nil
}

// Each service has an account and a time of its own; what is dropped or not wanted has none, and all that was put is taken
// away in the end.
func TestAllocationsByService(t *testing.T) {
	self := os.Getpid()
	for _, c := range []struct {
		name string
		who  Identity
		rate float64
		want bool // an account
	}{
		{"calm", Identity{Service: "web", OK: true}, 100, true},
		{"busy", Identity{Service: "web", OK: true}, 1e6, true},
		{"dropped", Identity{Service: "web", Drop: true, OK: true}, 100, false},
		{"not wanted", Identity{Service: "db", OK: true}, 100, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := &fakeAllocKernel{rate: c.rate, since: map[int]time.Time{}, hits: map[int]float64{}}
			a, err := NewAllocations(AllocOptions{
				FS: proc.FS{}, Kernel: k, Budget: 0.01, Accounts: 2, Keep: time.Minute,
				Processes: func() ([]int, error) { return []int{self}, nil },
				Identify:  func(int, uint64) Identity { return c.who },
				Wanted:    func(service string) bool { return service == "web" },
			})
			if err != nil {
				t.Fatal(err)
			}
			// This program has no allocator of C: it is given one.
			begin := time.Now()
			a.add(self, begin)
			lib := &library{name: "fake", inode: inode{1, 1}, file: os.Stdin, probes: []loader.AllocProbe{{Size: loader.AllocArg0}}}
			a.processes[self].enter(lib)
			stopped := make(chan struct{})
			go func() { time.Sleep(600 * time.Millisecond); close(stopped) }()
			a.Run(stopped)
			end := time.Now()
			got, ok := a.Coverage(profile.Series{Service: "web"}, begin, end)
			news := a.News()
			if t.Logf("%+v, %d put, %d taken", got, k.put, k.taken); ok != c.want || len(news) > 0 != c.want {
				t.Fatalf("an account: %t; news %v", ok, news)
			}
			switch {
			case k.put != k.taken || k.put > 0 != c.want:
				t.Errorf("%d put, %d taken away", k.put, k.taken)
			case c.name == "calm" && (got.Probed < 300*time.Millisecond || got.Windows != 1 || got.Hits < 20):
				t.Errorf("a calm program was not seen all the time: %+v", got)
			case c.name == "busy" && (got.Probed == 0 || got.Cost > 400*time.Millisecond || got.Probed > 400*time.Millisecond):
				t.Errorf("a busy program was not let be: %+v", got)
			}
			if n := a.News()["web"]; n.Probed != 0 || n.Hits != 0 {
				t.Errorf("told twice: %+v", n)
			}
		})
	}
}

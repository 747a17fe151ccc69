package agent

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

// A heapScript feeds a recorder with allocations of one process, at sites that are addresses of the unknown.
type heapScript struct {
	*HeapRecorder
	t      *testing.T
	kernel *heapKernel
	begin  time.Duration
	n      int
}

// A heapKernel knows allocations, and whose they are.
type heapKernel struct{ known map[loader.HeapID]int }

func (k *heapKernel) LiveAllocs(f func(loader.HeapID, int) bool) error {
	for id, pid := range k.known {
		if f(id, pid) {
			delete(k.known, id)
		}
	}
	return nil
}

const scriptPID = 7

func newHeapScript(t *testing.T) *heapScript {
	t.Helper()
	r, err := NewRecorder(proc.FS{Root: t.TempDir()}, KindsOf(loader.HeapEvent(1024)), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	k := &heapKernel{known: map[loader.HeapID]int{}}
	h := NewHeapRecorder(r, k, 0, nil)
	h.Begin()
	return &heapScript{HeapRecorder: h, t: t, begin: h.begin, kernel: k}
}

// alloc is an allocation of so many bytes, at a time from the begin.
func (s *heapScript) alloc(site int, bytes uint64, at time.Duration) loader.HeapID {
	s.n++
	sample := loader.Sample{
		Time: s.begin + at + time.Duration(s.n), PID: scriptPID, TID: scriptPID, StartNs: 1, Weight: bytes, Objects: 1,
		Comm: []byte("script"), User: []uint64{uint64(site + 1)},
	}
	s.Sample(&sample)
	return loader.HeapID{TID: scriptPID, Time: sample.Time}
}

func (s *heapScript) free(id loader.HeapID, at time.Duration) {
	s.Heap(loader.HeapNote{What: loader.HeapFreed, ID: id, At: s.begin + at})
}

func (s *heapScript) report(d time.Duration) HeapReport { return s.Report(d, 0, nil) }

func TestHeapPeak(t *testing.T) {
	s := newHeapScript(t)
	a := s.alloc(0, 1000, time.Second)
	b := s.alloc(1, 3000, 2*time.Second)
	s.free(a, 3*time.Second)
	s.free(b, 4*time.Second)
	s.alloc(2, 500, 5*time.Second)
	r := s.report(10 * time.Second)
	h := r.History
	if h.Peak.Bytes != 4000 || h.Peak.Known != 4000 || h.Peak.At.Round(time.Millisecond) != 2*time.Second {
		t.Errorf("peak %+v", h.Peak)
	}
	if h.Sites[0].PeakBytes != 3000 || h.Sites[1].PeakBytes != 1000 || h.Sites[2].PeakBytes != 0 || h.Sites[2].InuseBytes != 500 {
		t.Errorf("sites %+v", h.Sites)
	}
	if r.Summary.InuseBytes != 500 || r.Summary.AllocBytes != 4500 || r.Summary.Freed != 2 {
		t.Errorf("summary %+v", r.Summary)
	}
	// Ten seconds are more than the first step has bins for.
	at := func(d time.Duration) int64 { return h.Moments[int(d/h.Step)].Last }
	if h.Step != 20*time.Millisecond || at(1500*time.Millisecond) != 1000 || at(2500*time.Millisecond) != 4000 || at(9*time.Second) != 500 {
		t.Errorf("step %s, moments %v", h.Step, h.Moments)
	}
	if steps := h.Sites[0].Steps; steps[int(2500*time.Millisecond/h.Step)] != 3000 || steps[int(9*time.Second/h.Step)] != 0 {
		t.Errorf("steps of the first site %v", steps)
	}
	if err := r.Profile.CheckValid(); err != nil || len(r.Profile.Sample) != 3 {
		t.Errorf("%d samples, %v", len(r.Profile.Sample), err)
	}
}

// A long recording halves its bins until they fit, and loses nothing.
func TestHeapTimelineIsBounded(t *testing.T) {
	s := newHeapScript(t)
	for i := range 5000 {
		s.alloc(i%3, 10, time.Duration(i)*time.Second)
	}
	h := s.report(5000 * time.Second).History
	if len(h.Moments) > maxHeapBins || len(h.Moments) < maxHeapBins/4 || h.Moments[len(h.Moments)-1].Last != 50000 {
		t.Errorf("%d moments, the last %+v", len(h.Moments), h.Moments[len(h.Moments)-1])
	}
	for i := range h.Sites {
		if n := len(h.Sites[i].Steps); n != len(h.Moments) || h.Sites[i].Steps[n-1] != h.Sites[i].InuseBytes {
			t.Errorf("site %d has %d steps", i, n)
		}
	}
	for i := 1; i < len(h.Moments); i++ {
		if h.Moments[i].Last < h.Moments[i-1].Last || h.Moments[i].Most != h.Moments[i].Last {
			t.Fatalf("moment %d: %+v after %+v", i, h.Moments[i], h.Moments[i-1])
		}
	}
}

// Lifetimes of sites that free, in parts of the recording: none is a leak.
func TestSitesThatFreeAreNoLeaks(t *testing.T) {
	const all = 60 * time.Second
	for name, life := range map[string]func(r *rand.Rand, born time.Duration) time.Duration{
		"at once":       func(*rand.Rand, time.Duration) time.Duration { return time.Microsecond },
		"after a third": func(*rand.Rand, time.Duration) time.Duration { return all / 3 },
		"after half":    func(*rand.Rand, time.Duration) time.Duration { return all / 2 },
		"uniform":       func(r *rand.Rand, _ time.Duration) time.Duration { return time.Duration(r.Float64() * float64(all)) },
		"exponential": func(r *rand.Rand, _ time.Duration) time.Duration {
			return time.Duration(r.ExpFloat64() * float64(all) / 20)
		},
		"long exponential": func(r *rand.Rand, _ time.Duration) time.Duration {
			return time.Duration(r.ExpFloat64() * float64(all) / 4)
		},
		"in batches":           func(_ *rand.Rand, born time.Duration) time.Duration { return 10*time.Second - born%(10*time.Second) },
		"some much later":      func(r *rand.Rand, _ time.Duration) time.Duration { return seldom(r, 0.02, 30*time.Second) },
		"very few much later":  func(r *rand.Rand, _ time.Duration) time.Duration { return seldom(r, 0.005, 20*time.Second) },
		"very few after most":  func(r *rand.Rand, _ time.Duration) time.Duration { return seldom(r, 0.009, 40*time.Second) },
		"kept from the start":  func(_ *rand.Rand, born time.Duration) time.Duration { return keptIf(born < 5*time.Second) },
		"kept in the middle":   func(_ *rand.Rand, born time.Duration) time.Duration { return keptIf(born > all/3 && born < all/2) },
		"kept at the very end": func(_ *rand.Rand, born time.Duration) time.Duration { return keptIf(born > all-2*time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newHeapScript(t)
			s.lives(all, 8000, rand.New(rand.NewPCG(1, 2)), life)
			if r := s.report(all); len(r.History.Leaks) > 0 {
				t.Errorf("%+v", r.History.Leaks)
			}
		})
	}
}

func seldom(r *rand.Rand, share float64, life time.Duration) time.Duration {
	if r.Float64() < share {
		return life
	}
	return time.Millisecond
}

func keptIf(kept bool) time.Duration {
	if kept {
		return math.MaxInt64 / 2
	}
	return time.Millisecond
}

// lives makes n allocations of 100 bytes over a time, at one site, each of which lives as long as life says.
func (s *heapScript) lives(all time.Duration, n int, r *rand.Rand, life func(*rand.Rand, time.Duration) time.Duration) (kept int) {
	s.t.Helper()
	type death struct {
		id loader.HeapID
		at time.Duration
	}
	var deaths []death
	for i := range n {
		now := all * time.Duration(i) / time.Duration(n)
		rest := deaths[:0]
		for _, d := range deaths {
			if d.at <= now {
				s.free(d.id, d.at)
			} else {
				rest = append(rest, d)
			}
		}
		deaths = rest
		id := s.alloc(0, 100, now)
		if l := life(r, now); l < all {
			deaths = append(deaths, death{id, now + l})
		} else {
			kept++
		}
	}
	return kept
}

// One of a hundred is never freed, beside others that are freed soon or a little later.
func TestLeakIsFound(t *testing.T) {
	const all = 60 * time.Second
	s := newHeapScript(t)
	kept := s.lives(all, 20000, rand.New(rand.NewPCG(3, 4)), func(r *rand.Rand, _ time.Duration) time.Duration {
		if r.Float64() < 0.01 {
			return math.MaxInt64 / 2
		}
		return time.Duration(r.ExpFloat64() * float64(time.Second) / 2)
	})
	h := s.report(all).History
	if len(h.Leaks) != 1 {
		t.Fatalf("%+v", h.Leaks)
	}
	l := h.Leaks[0]
	if want := float64(kept * 100); math.Abs(float64(l.Bytes)/want-1) > 0.1 {
		t.Errorf("%d bytes leaked, want about %.0f", l.Bytes, want)
	}
	if l.Share < 0.007 || l.Share > 0.013 || l.Freed == 0 || l.Age < 3*time.Second || l.Oldest < 55*time.Second {
		t.Errorf("%+v", l)
	}
}

// What a process holds when it ends is of its profile, and not of the heap after that; exec leaves nothing.
func TestHeapOfProcessesThatEnd(t *testing.T) {
	s := newHeapScript(t)
	s.alloc(0, 1000, time.Second)
	s.Heap(loader.HeapNote{What: loader.HeapExec, PID: scriptPID, StartNs: 1, At: s.begin + 2*time.Second})
	late := s.alloc(1, 200, 3*time.Second)
	s.Heap(loader.HeapNote{What: loader.HeapExit, PID: scriptPID, StartNs: 1, At: s.begin + 4*time.Second})
	s.free(late, 5*time.Second) // its number, in another process
	s.Heap(loader.HeapNote{What: loader.HeapExit, PID: 99, StartNs: 1, At: s.begin + 4*time.Second})
	r := s.report(6 * time.Second)
	if r.Summary.GoneByExec != 1 || r.Summary.InuseBytes != 200 || r.Summary.PeakBytes != 1000 {
		t.Errorf("%+v", r.Summary)
	}
	if m := r.History.Moments; m[len(m)-1].Last != 0 {
		t.Errorf("%d bytes in use after all have ended", m[len(m)-1].Last)
	}
}

// What the kernel does not know any more was freed.
func TestHeapSettles(t *testing.T) {
	s := newHeapScript(t)
	a := s.alloc(0, 1000, time.Second)
	s.alloc(0, 1000, time.Second)
	s.Heap(loader.HeapNote{What: loader.HeapFailed, ID: s.alloc(0, 50, time.Second), At: s.begin + time.Second})
	s.Heap(loader.HeapNote{What: loader.HeapReused, ID: s.alloc(0, 60, time.Second), At: s.begin + 2*time.Second})
	s.Heap(loader.HeapNote{What: loader.HeapFull, ID: s.alloc(0, 70, time.Second), At: s.begin + time.Second})
	s.kernel.known[a] = scriptPID
	missing, err := s.Settle()
	if err != nil {
		t.Fatal(err)
	}
	r := s.Report(2*time.Second, missing, nil)
	if missing != 1 || r.Summary.InuseBytes != 1000 || r.Summary.FreesUntold != 1 || r.Summary.FailedCalls != 1 || r.Summary.FreedUnseen != 1 || r.Summary.Untracked != 1 {
		t.Errorf("%d missing, %+v", missing, r.Summary)
	}
}

// What a process had when it ended, or became another program, makes room in the kernel.
func TestHeapSweeps(t *testing.T) {
	s := newHeapScript(t)
	old, other := s.alloc(0, 1000, time.Second), loader.HeapID{TID: 8, Time: 1}
	s.Heap(loader.HeapNote{What: loader.HeapExec, PID: scriptPID, StartNs: 1, At: s.begin + 2*time.Second})
	fresh := s.alloc(0, 1000, 3*time.Second)
	s.kernel.known = map[loader.HeapID]int{old: scriptPID, fresh: scriptPID, other: 8}
	s.swept = s.begin
	s.Tick()
	if len(s.kernel.known) != 3 {
		t.Errorf("swept too soon: %v", s.kernel.known)
	}
	s.alloc(0, 1000, 6*time.Second)
	s.Tick()
	if _, there := s.kernel.known[old]; there || len(s.kernel.known) != 2 {
		t.Errorf("%v", s.kernel.known)
	}
}

func TestLifetimeBuckets(t *testing.T) {
	last := -1
	for age := time.Duration(0); age < 10*time.Hour; age += 1 + age/7 {
		b := lifetimeBucket(age)
		if b < last || lifetimeOf(b) <= age || b > 0 && lifetimeOf(b-1) > age {
			t.Fatalf("%s is in bucket %d, which ends at %s, the one before at %s", age, b, lifetimeOf(b), lifetimeOf(b-1))
		}
		last = b
	}
}

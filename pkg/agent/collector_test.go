package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// A script is a sampler and a kernel side whose time and samples the test makes. It hands them to the collector on Run's
// goroutine, as a sampler does.
type script struct {
	mu        sync.Mutex
	mono      time.Duration
	wall      time.Time
	lost      uint64
	delivered uint64
	stop      chan struct{}
	once      sync.Once
	steps     chan func(loader.Handler)
	handler   *Collector
}

func newScript() *script {
	return &script{
		mono: time.Hour, wall: time.Date(2026, 1, 2, 3, 4, 7, 0, time.UTC),
		stop: make(chan struct{}), steps: make(chan func(loader.Handler)),
	}
}

func (s *script) Start() error { return nil }
func (s *script) Stop()        { s.once.Do(func() { close(s.stop) }) }
func (s *script) Run(h loader.Handler) error {
	for {
		select {
		case f := <-s.steps:
			f(h)
		case <-s.stop:
			h.Tick()
			return nil
		}
	}
}

func (s *script) Counters(int) (loader.Counters, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return loader.Counters{Fired: s.delivered + s.lost, Samples: s.delivered, Lost: map[string]uint64{loader.LostRingFull: s.lost}}, nil
}

func (s *script) Reannounce(loader.FileID) {}

func (s *script) clock() (time.Duration, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mono, s.wall
}

func (s *script) now() time.Duration { m, _ := s.clock(); return m }

// pass lets time go by.
func (s *script) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mono += d
	s.wall = s.wall.Add(d)
}

// step changes the wall's clock alone.
func (s *script) step(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wall = s.wall.Add(d)
}

func (s *script) lose(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost += n
}

// do runs f on the reading goroutine, and returns when it is done.
func (s *script) do(f func(h loader.Handler)) {
	done := make(chan struct{})
	s.steps <- func(h loader.Handler) { f(h); close(done) }
	<-done
}

// sample hands over one sample of this moment.
func (s *script) sample(h loader.Handler, sample *loader.Sample) {
	if sample.Time == 0 {
		sample.Time = s.now()
	}
	s.delivered++
	h.Sample(sample)
}

// ticks lets time pass in steps of a drain.
func (s *script) ticks(d time.Duration) {
	for ; d > 0; d -= 250 * time.Millisecond {
		s.pass(min(d, 250*time.Millisecond))
		s.do(func(h loader.Handler) { h.Tick() })
		s.settle()
	}
}

// settle waits until the goroutines that name and keep have taken what was closed: it has real time, and the script has none.
func (s *script) settle() {
	for len(s.handler.closed) > 0 {
		time.Sleep(50 * time.Microsecond)
	}
	for _, q := range s.handler.sinks {
		for q.Name == "keeper" && q.waiting.Load() > 0 {
			time.Sleep(50 * time.Microsecond)
		}
	}
}

// A keeper is a sink that keeps what it gets.
type keeper struct {
	mu  sync.Mutex
	all []*profile.Interval
	got chan struct{}
}

func newKeeper() *keeper { return &keeper{got: make(chan struct{}, 1<<20)} }

func (k *keeper) sink() Sink { return Sink{Name: "keeper", Put: k.put} }

func (k *keeper) put(_ context.Context, i *profile.Interval) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all = append(k.all, i)
	k.got <- struct{}{}
	return nil
}

// samples is the sum of samples/count over everything.
func (k *keeper) samples() (n uint64) {
	for _, i := range k.all {
		n += samplesOf(i)
	}
	return n
}

func samplesOf(i *profile.Interval) (n uint64) {
	for _, w := range i.Windows {
		for _, s := range w.Profile.Sample {
			n += uint64(s.Value[0])
		}
	}
	return n
}

func (k *keeper) lost() (n uint64) {
	for _, i := range k.all {
		n += i.Lost
	}
	return n
}

// collect runs a collector on a script, and returns how to end it.
func collect(t testing.TB, s *script, o CollectorOptions) (*Collector, func()) {
	t.Helper()
	if o.Kinds == nil {
		o.Kinds = KindsOf(loader.CPUClock(100))
	}
	c, err := NewCollector(s, o)
	if err != nil {
		t.Fatal(err)
	}
	c.schedule.clock, s.handler = s.clock, c
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx, s) }()
	s.do(func(loader.Handler) {}) // it is up
	var once sync.Once
	end := func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("run: %v", err)
			}
		})
	}
	t.Cleanup(end)
	return c, end
}

func threadSample(pid, tid int) *loader.Sample {
	return &loader.Sample{PID: pid, TID: tid, StartNs: uint64(pid), Weight: 1, End: loader.EndNoUser,
		Comm: fmt.Appendf(nil, "p%d", pid)}
}

func servicesByPID(pid int, _ uint64) Identity {
	return Identity{Service: fmt.Sprintf("s%d", pid%10), OK: true, Labels: map[string]string{"unit": "u"}}
}

// Windows end at multiples of their length, join without a gap, and together hold every sample.
func TestCollectorWindows(t *testing.T) {
	s, k := newScript(), newKeeper()
	c, end := collect(t, s, CollectorOptions{Sinks: []Sink{k.sink()}, Identify: servicesByPID})
	for i := range 100 {
		s.ticks(250 * time.Millisecond)
		s.do(func(h loader.Handler) { s.sample(h, threadSample(1+i%3, 1+i%3)) })
		if i%10 == 0 {
			s.lose(3)
		}
	}
	end()
	if got := k.samples(); got != s.delivered || k.lost() != s.lost {
		t.Errorf("windows hold %d samples of %d, and lost %d of %d", got, s.delivered, k.lost(), s.lost)
	}
	if len(k.all) != 4 {
		t.Fatalf("%d windows in 25 s from :07 on, want 4", len(k.all))
	}
	at := time.Date(2026, 1, 2, 3, 4, 7, 0, time.UTC)
	for n, i := range k.all {
		want := []time.Duration{3 * time.Second, 10 * time.Second, 10 * time.Second, 2 * time.Second}[n]
		if !i.Start.Equal(at) || i.Duration != want {
			t.Errorf("window %d from %s for %s, want %s for %s", n, i.Start, i.Duration, at, want)
		}
		at = at.Add(i.Duration)
		for m, w := range i.Windows {
			if err := w.Profile.CheckValid(); err != nil {
				t.Error(err)
			}
			if w.Kind != "cpu" || w.Service != fmt.Sprintf("s%d", m+1) || w.Labels["unit"] != "u" {
				t.Errorf("series %+v", w.Series)
			}
			if w.Profile.TimeNanos != i.Start.UnixNano() || w.Profile.DurationNanos != int64(i.Duration) {
				t.Errorf("profile of %d for %d", w.Profile.TimeNanos, w.Profile.DurationNanos)
			}
		}
	}
	st, all := c.Stats().Kinds[0], c.Stats()
	if st.Fired != s.delivered+s.lost || st.Samples != s.delivered || all.Windows != 4 || st.Stacks.ByEnd["complete"] != s.delivered {
		t.Errorf("statistics %+v", st)
	}
	if got := st.Services["s1"]; got.Samples != 34 || got.Value != 34*10_000_000 {
		t.Errorf("service s1: %+v, want 34 samples of 10 ms", got)
	}
	if all.Sinks["keeper"] != (SinkStats{Delivered: 4}) {
		t.Errorf("sinks %+v", all.Sinks)
	}
}

// A sample is in the window of its own time, though it is read later.
func TestCollectorAttributesByTime(t *testing.T) {
	s, k := newScript(), newKeeper()
	_, end := collect(t, s, CollectorOptions{Sinks: []Sink{k.sink()}, Identify: servicesByPID})
	begin := s.now()
	s.pass(24 * time.Second) // nobody read for long
	s.do(func(h loader.Handler) {
		for i := range 24 {
			x := threadSample(1, 1)
			x.Time = begin + time.Duration(i)*time.Second
			s.sample(h, x)
		}
		h.Tick()
	})
	end()
	var got []uint64
	for _, i := range k.all {
		got = append(got, samplesOf(i))
	}
	// Two closings in a row may find the naming goroutine busy, and make one window of two.
	var sum uint64
	for _, n := range got {
		sum += n
	}
	if sum != 24 || got[0] != 3 && got[0] != 13 {
		t.Errorf("samples by window %v, want 3, 10, 10 and 1", got)
	}
}

// A step of the wall's clock moves the next window's start; what is sampled stays whole, and the monotonic clock rules.
func TestCollectorClockSteps(t *testing.T) {
	for _, step := range []time.Duration{-time.Hour, time.Hour, 3700 * time.Millisecond, -3700 * time.Millisecond} {
		s, k := newScript(), newKeeper()
		_, end := collect(t, s, CollectorOptions{Sinks: []Sink{k.sink()}, Identify: servicesByPID})
		begin := s.now()
		for i := range 200 {
			if i == 60 {
				s.step(step)
			}
			s.ticks(250 * time.Millisecond)
			s.do(func(h loader.Handler) { s.sample(h, threadSample(1, 1)) })
		}
		lasted := s.now() - begin
		end()
		var sum time.Duration
		for n, i := range k.all {
			sum += i.Duration
			if n >= 4 && !i.Start.Equal(i.Start.Truncate(10*time.Second)) {
				t.Errorf("step %s: window %d begins at %s", step, n, i.Start)
			}
			if i.Duration > 10*time.Second+10*time.Second/8 || i.Duration <= 0 {
				t.Errorf("step %s: window %d takes %s", step, n, i.Duration)
			}
		}
		if k.samples() != 200 || sum != lasted {
			t.Errorf("step %s: %d samples in %s, want 200 in %s", step, k.samples(), sum, lasted)
		}
	}
}

// A drifting clock leaves windows joined and aligned.
func TestScheduleFollowsDrift(t *testing.T) {
	s := newScript()
	sched := schedule{length: 10 * time.Second, clock: s.clock}
	w := sched.at(s.now())
	for range 1000 {
		s.pass(w.end - s.now())
		s.step(-3 * time.Millisecond)
		next := sched.after(w)
		if !next.wall.Equal(w.until) || next.start != w.end {
			t.Fatalf("a window from %s after one until %s", next.wall, w.until)
		}
		w = next
	}
	if off := s.wall.Sub(w.wall); off.Abs() > slewLimit {
		t.Errorf("windows are %s off the wall", off)
	}
}

// Thinning keeps totals: what was kept stands for what was not, but for the last few.
func TestCollectorThins(t *testing.T) {
	for _, fraction := range []float64{0.1, 0.3, 0.5, 0.9, 1} {
		s, k := newScript(), newKeeper()
		c, end := collect(t, s, CollectorOptions{Sinks: []Sink{k.sink()}, Identify: func(pid int, _ uint64) Identity {
			return Identity{Service: fmt.Sprint(pid), Fraction: fraction, Drop: pid == 9, OK: true}
		}})
		for range 300 {
			s.ticks(250 * time.Millisecond)
			s.do(func(h loader.Handler) {
				for pid := 1; pid <= 3; pid++ {
					for range pid {
						s.sample(h, threadSample(pid, pid))
					}
				}
				s.sample(h, threadSample(9, 9))
			})
		}
		c.Reidentify() // the count goes on
		s.ticks(11 * time.Second)
		end()
		st := c.Stats().Kinds[0]
		if st.Filtered[FilteredByRule] != 300 || st.Fired != s.delivered || st.Fired != st.Samples+st.Filtered[FilteredByFraction]+300 {
			t.Errorf("fraction %g: %+v", fraction, st)
		}
		if kept, want := float64(st.Samples), fraction*1800; kept < want-3 || kept > want+3 {
			t.Errorf("fraction %g: kept %g of 1800", fraction, kept)
		}
		if got := k.samples() + st.Forgone; got != 1800 {
			t.Errorf("fraction %g: samples stand for %d of 1800", fraction, got)
		}
		for pid := 1; pid <= 3; pid++ {
			got, want := st.Services[fmt.Sprint(pid)].Value, int64(pid)*300*10_000_000
			if want-got > int64(10_000_000/fraction)+1 || got > want {
				t.Errorf("fraction %g: service %d used %d ns, want %d", fraction, pid, got, want)
			}
		}
	}
}

// A sink that is slow loses intervals of its own, and says so; others get all.
func TestCollectorSlowSink(t *testing.T) {
	s, k := newScript(), newKeeper()
	slow := make(chan struct{})
	c, end := collect(t, s, CollectorOptions{Identify: servicesByPID, Flush: 200 * time.Millisecond, Sinks: []Sink{
		{Name: "slow", Put: func(context.Context, *profile.Interval) error { <-slow; return nil }},
		{Name: "failing", Put: func(context.Context, *profile.Interval) error { return errors.New("disk full") }},
		k.sink(),
	}})
	for range 10 {
		s.do(func(h loader.Handler) { s.sample(h, threadSample(1, 1)) })
		s.ticks(10 * time.Second)
	}
	end() // returns, though a sink does not
	close(slow)
	st := c.Stats()
	all := st.Windows
	if got := st.Sinks["slow"]; got.Dropped != all || got.Delivered != 0 {
		t.Errorf("slow sink %+v of %d", got, all)
	}
	if got := st.Sinks["failing"]; got.Failed != all {
		t.Errorf("failing sink %+v of %d", got, all)
	}
	if got := st.Sinks["keeper"]; got.Delivered != all || k.samples() != 10 {
		t.Errorf("good sink %+v of %d, %d samples", got, all, k.samples())
	}
}

// One process number that is used again is two processes, of two services, in one window; a process that had gone goes by
// its thread's name.
func TestCollectorPIDReuse(t *testing.T) {
	s, k := newScript(), newKeeper()
	_, end := collect(t, s, CollectorOptions{Sinks: []Sink{k.sink()}, Identify: func(pid int, start uint64) Identity {
		return Identity{Service: fmt.Sprint("started at ", start), OK: start < 3}
	}})
	s.do(func(h loader.Handler) {
		for start := range 4 {
			x := threadSample(7, 7)
			x.StartNs = uint64(start) * nsPerTick
			s.sample(h, x)
		}
	})
	end()
	var got []string
	for _, w := range k.all[0].Windows {
		got = append(got, w.Service)
	}
	if fmt.Sprint(got) != "[p7 started at 0 started at 1 started at 2]" {
		t.Errorf("services %q", got)
	}
}

// A process is asked for again when it has become another program.
func TestCollectorLooksAgain(t *testing.T) {
	s, k := newScript(), newKeeper()
	name := "shell"
	looks := 0
	_, end := collect(t, s, CollectorOptions{Sinks: []Sink{k.sink()}, Identify: func(int, uint64) Identity {
		looks++
		return Identity{Service: name, OK: true}
	}})
	for i := range 40 {
		s.do(func(h loader.Handler) {
			x := threadSample(7, 7)
			if i >= 20 {
				name, x.Comm = "server", []byte("server")
			}
			s.sample(h, x)
		})
		s.ticks(250 * time.Millisecond)
	}
	end()
	count := map[string]int64{}
	for _, i := range k.all {
		for _, w := range i.Windows {
			for _, x := range w.Profile.Sample {
				count[w.Service] += x.Value[0]
			}
		}
	}
	if count["shell"] != 20 || count["server"] != 20 || looks > maxLooks {
		t.Errorf("samples %v after %d looks", count, looks)
	}
}

// The path of a sample whose stack is known allocates nothing.
func TestCollectorSampleAllocatesNothing(t *testing.T) {
	s := newScript()
	c, err := NewCollector(s, CollectorOptions{Kinds: KindsOf(loader.CPUClock(100)), Identify: servicesByPID})
	if err != nil {
		t.Fatal(err)
	}
	c.schedule.clock = s.clock
	c.begin()
	x := threadSample(1, 1)
	x.Time = s.now()
	x.User = []uint64{0x1100, 0x2200, 0x3300}
	x.VMAs = []loader.VMA{{Start: 0x1000, End: 0x9000, File: loader.FileID{Ino: 1}}}
	x.Kernel = []uint64{0xffffffff81000010}
	c.Sample(x)
	if n := testing.AllocsPerRun(1000, func() { c.Sample(x) }); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func TestNewCollectorChecksOptions(t *testing.T) {
	put := func(context.Context, *profile.Interval) error { return nil }
	for _, o := range []CollectorOptions{
		{Window: time.Millisecond}, {Window: -1}, {Sinks: []Sink{{Name: "a"}}}, {Sinks: []Sink{{Put: put}}},
		{Sinks: []Sink{{"a", put}, {"a", put}}},
	} {
		o.Kinds = KindsOf(loader.CPUClock(100))
		if _, err := NewCollector(newScript(), o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}

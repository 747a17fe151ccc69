package loader

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Two events in one sampler are told apart, and each is conserved.
func TestSeveralEvents(t *testing.T) {
	faults := Event{Name: "page-faults", Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_PAGE_FAULTS, Period: 1}
	s := open(t, Options{Events: []Event{CPUClock(499), faults}})
	burn(t, 1)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	before := minorFaults(t)
	touch(t, 1000)
	byEvent := map[int]uint64{}
	got := &collector{onSample: func(s *Sample) { byEvent[s.Event]++ }}
	runFor(t, s, got, 500*time.Millisecond)
	if after := minorFaults(t); after-before < 1000 {
		t.Fatalf("only %d page faults", after-before)
	}
	for event := range 2 {
		c, err := s.Counters(event)
		if err != nil {
			t.Fatal(err)
		}
		if c.Samples != byEvent[event] || c.Fired != c.Samples+c.LostTotal() || c.Samples < 100 {
			t.Errorf("event %d: %+v, handler got %d", event, c, byEvent[event])
		}
	}
	if byEvent[1] < 1000 {
		t.Errorf("%d samples of page faults, want at least 1000", byEvent[1])
	}
}

func minorFaults(t *testing.T) int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return u.Minflt
}

// touch makes n pages of fresh memory resident, one by one.
func touch(t *testing.T, n int) {
	page := unix.Getpagesize()
	mem, err := unix.Mmap(-1, 0, n*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(mem) })
	if err := unix.Madvise(mem, unix.MADV_NOHUGEPAGE); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(mem); i += page {
		mem[i] = 1
	}
}

// A tracepoint is sampled beside a clock, by period, whatever CPU it hits; what the kernel could not run is counted.
func TestTracepoint(t *testing.T) {
	var events []Event
	for _, name := range []string{"sched:sched_switch:10", "cpu@997", "context-switches:10"} {
		e, err := ParseEvent(name, DefaultFrequency)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	s := open(t, Options{Events: events})
	burn(t, 2)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	var n, weight [3]uint64
	kernel := 0
	got := &collector{onSample: func(s *Sample) {
		n[s.Event]++
		weight[s.Event] += s.Weight
		if s.Event == 0 {
			kernel += min(len(s.Kernel), 1)
		}
	}}
	runFor(t, s, got, time.Second)
	for event := range events {
		c, err := s.Counters(event)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %+v", events[event].Name, c)
		if c.Samples != n[event] || c.Fired != c.Samples+c.LostTotal() {
			t.Errorf("%s: %+v, handler got %d", events[event].Name, c, n[event])
		}
		if event != 1 && (!c.MissedKnown || weight[event] != 10*n[event]) {
			t.Errorf("%s: %+v, weight %d", events[event].Name, c, weight[event])
		}
	}
	if n[0] < 10 || kernel != int(n[0]) {
		t.Errorf("%d samples of a tracepoint, %d with a kernel stack", n[0], kernel)
	}
}

func TestTracepointHasNoFrequency(t *testing.T) {
	if _, err := ParseEvent("sched:sched_switch@99", DefaultFrequency); err == nil {
		t.Error("a tracepoint can be sampled by frequency")
	}
}

package agent

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/internal/target"
	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

func openSampler(t *testing.T, o loader.Options) *loader.Sampler {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: loads BPF programs")
	}
	s, err := loader.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// What the windows hold, and what a live reader got, is what the kernel side counted, exactly.
func TestCollectorConserves(t *testing.T) {
	s := openSampler(t, loader.Options{Events: []loader.Event{loader.CPUClock(997)}, Filter: loader.Filter{Kind: loader.FilterProcess}})
	run := target.Start(t, target.C(t, "recursion", "-O2", "-fomit-frame-pointer"), "5", "60")
	if err := s.AddTarget(run.PID, 0); err != nil {
		t.Fatal(err)
	}
	k := newKeeper()
	c, err := NewCollector(s, CollectorOptions{
		Kinds: KindsOf(loader.CPUClock(997)), Window: time.Second, Sinks: []Sink{k.sink()}, Tables: s, TableCache: t.TempDir(),
		Flush: time.Minute, // a machine that is busy with other tests
	})
	if err != nil {
		t.Fatal(err)
	}
	in, _, err := c.Subscribe("cpu")
	if err != nil {
		t.Fatal(err)
	}
	live := make(chan [4]uint64)
	go func() {
		count, fired, lost, missed, _ := tally(t, in)
		live <- [4]uint64{count, fired, lost, missed}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if err := c.Run(ctx, s); err != nil {
		t.Fatal(err)
	}
	counters, err := s.Counters(0)
	if err != nil {
		t.Fatal(err)
	}
	if counters.Samples < 100 || k.samples() != counters.Samples || k.lost() != counters.LostTotal() {
		t.Errorf("windows hold %d samples and lost %d; kernel side: %+v", k.samples(), k.lost(), counters)
	}
	st := c.Stats().Kinds[0]
	if st.Fired != counters.Fired || st.Samples != counters.Samples {
		t.Errorf("statistics %+v; kernel side: %+v", st, counters)
	}
	if got := <-live; got[3] != 0 || got[0] != counters.Samples || got[1] != counters.Fired {
		t.Errorf("live: %v; kernel side: %+v", got, counters)
	}
	if n := len(k.all); n < 3 || n > 5 {
		t.Errorf("%d windows of a second in 3 s", n)
	}
}

// An object whose table was evicted gets it back when it is hit again.
func TestCollectorRecoversEvictedTables(t *testing.T) {
	s := openSampler(t, loader.Options{Events: []loader.Event{loader.CPUClock(499)}, Filter: loader.Filter{Kind: loader.FilterProcess}})
	run := target.Start(t, target.C(t, "recursion", "-O2", "-fomit-frame-pointer"), "5", "60")
	if err := s.AddTarget(run.PID, 0); err != nil {
		t.Fatal(err)
	}
	ends := make(chan map[string]int64, 64)
	c, err := NewCollector(s, CollectorOptions{
		Kinds: KindsOf(loader.CPUClock(499)), Window: time.Second, Tables: s, TableCache: t.TempDir(), PIDs: []int{run.PID},
		Sinks: []Sink{{Name: "ends", Put: func(_ context.Context, i *profile.Interval) error {
			m := map[string]int64{}
			for _, w := range i.Windows {
				for _, x := range w.Profile.Sample {
					end := "complete"
					if l := x.Label[profile.LabelStack]; len(l) > 0 {
						end = l[0]
					}
					m[end] += x.Value[0]
				}
			}
			ends <- m
			return nil
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, s) }()
	whole := func() bool {
		for m := range ends {
			if m["complete"] > 10 && len(m) == 1 {
				return true
			}
			if ctx.Err() != nil {
				t.Errorf("stacks by end: %v", m)
				return false
			}
		}
		return false
	}
	if !whole() {
		t.Fatal("stacks are not whole to begin with")
	}
	c.unwinding.shrink(0) // as if there were no room at all, for a moment
	if s.TableBytes() != 0 {
		t.Fatal("tables are held still")
	}
	broken := false
	for range 3 {
		m := <-ends
		broken = broken || len(m) > 1 || m["complete"] == 0
	}
	if !broken {
		t.Error("stacks were whole without tables")
	}
	if !whole() {
		t.Error("tables did not come back")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := c.Stats().Unwind; n.Evicted < 1 {
		t.Errorf("statistics %+v", n)
	}
}

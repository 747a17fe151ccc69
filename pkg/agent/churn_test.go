package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// churner makes samples of processes that live for one window, each with a name, threads, stacks and an object of its own.
type churner struct{ pid, object int }

func (c *churner) process(s *script, h loader.Handler) {
	c.pid++
	c.object++
	vma := loader.VMA{Start: 0x1000, End: 0x9000, File: loader.FileID{Dev: 1, Ino: uint64(c.object)}}
	for i := range 4 {
		x := threadSample(c.pid, c.pid+i%3)
		x.End, x.VMAs = loader.EndNoUnwindInfo, []loader.VMA{vma}
		for depth := range 10 {
			x.User = append(x.User, uint64(0x1000+(c.pid*31+i*7+depth*13)%0x8000))
		}
		s.sample(h, x)
	}
}

// A day with 100,000 processes that come and go, in windows of 10 s, leaves nothing behind.
func TestCollectorChurn(t *testing.T) {
	if testing.Short() {
		t.Skip("simulates a day")
	}
	s := newScript()
	var windows, samples, lost uint64
	sink := Sink{Name: "keeper", Put: func(_ context.Context, i *profile.Interval) error {
		windows++
		samples += samplesOf(i)
		lost += i.Lost
		return nil
	}}
	c, end := collect(t, s, CollectorOptions{Sinks: []Sink{sink}, Identify: func(pid int, _ uint64) Identity {
		// Every third has gone before it can be asked; services are a set that is bounded, labels too.
		return Identity{Service: fmt.Sprint("service-", pid%50), Labels: map[string]string{"pod": fmt.Sprint(pid % 200)}, OK: pid%3 > 0}
	}})
	const day, processes = 24 * 60 * 6, 100_000
	var churn churner
	var settled, most uint64
	for w := range day {
		s.do(func(h loader.Handler) {
			for churn.pid < (w+1)*processes/day {
				churn.process(s, h)
			}
		})
		s.pass(10 * time.Second)
		s.do(func(h loader.Handler) { h.Tick() })
		s.pass(250 * time.Millisecond)
		s.do(func(h loader.Handler) { h.Tick() })
		s.pass(-250 * time.Millisecond)
		s.settle()
		if z := c.Stats().Sizes; z.Nodes > hardNodes || z.Processes > hardProcesses || z.Comms > hardComms ||
			z.Objects > 2*softObjects || z.Services > maxServices+1 || z.Places > defaultMaxPlaces || z.Files > 0 {
			t.Fatalf("window %d: %+v", w, z)
		}
		switch (w + 1) % 720 {
		case 719:
			c.Reidentify() // a generation ends with this window: measure where there is least, and always as much
			continue
		case 0:
		default:
			continue
		}
		for range 1000 { // what is being named is held still
			if c.Stats().Sinks["keeper"].Delivered > uint64(w) {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if h := heap(); w < day/4 {
			settled = max(settled, h)
		} else {
			most = max(most, h)
		}
	}
	end()
	st := c.Stats()
	if samples != s.delivered || st.Kinds[0].Samples != s.delivered || s.delivered != processes*4 {
		t.Errorf("windows hold %d samples of %d", samples, s.delivered)
	}
	t.Logf("%d windows, %d generations, heap at most %d KiB in the first quarter of the day, %d KiB in the rest; %+v",
		windows, st.Sizes.Generations, settled>>10, most>>10, st.Sizes)
	if most > settled+512<<10 {
		t.Errorf("the heap grew from %d to %d KiB", settled>>10, most>>10)
	}
	if st.Extended > day/10 {
		t.Errorf("%d windows were extended", st.Extended)
	}
}

// Descriptors are bounded; one that is closed comes back when its object is seen again, and names with it.
func TestCollectorBoundsFiles(t *testing.T) {
	dir := t.TempDir()
	const files, limit = 100, 16
	var announced []loader.File
	for i := range files {
		name := filepath.Join(dir, fmt.Sprint("lib", i, ".so"))
		if err := os.WriteFile(name, []byte("not an object"), 0o600); err != nil {
			t.Fatal(err)
		}
		var st unix.Stat_t
		if err := unix.Stat(name, &st); err != nil {
			t.Fatal(err)
		}
		id := loader.FileID{Dev: uint64(unix.Major(st.Dev))<<20 | uint64(unix.Minor(st.Dev)), Ino: st.Ino, MtimeSec: st.Mtim.Sec}
		announced = append(announced, loader.File{ID: id, PID: 1 << 22, Start: 0x1000, End: 0x2000, Path: name})
	}
	s := newScript()
	c, _ := collect(t, s, CollectorOptions{Identify: servicesByPID, MaxFiles: limit, FS: proc.FS{}})
	touch := func(h loader.Handler, f loader.File) {
		x := threadSample(1<<22, 1<<22)
		x.End, x.User = loader.EndTruncated, []uint64{0x1800}
		x.VMAs = []loader.VMA{{Start: 0x1000, End: 0x2000, File: f.ID}}
		s.sample(h, x)
	}
	for _, f := range announced {
		s.do(func(h loader.Handler) { h.File(f); touch(h, f) })
		s.ticks(10 * time.Second)
		if n := c.Stats().Sizes.Files; n > limit {
			t.Fatalf("%d descriptors, want at most %d", n, limit)
		}
	}
	if n := c.Stats().Sizes.FilesRefused; n > 0 {
		t.Errorf("%d files were refused, though others were not in use", n)
	}
	first := c.objects.byID[announced[0].ID]
	if first.open {
		t.Fatal("the first file is open still")
	}
	s.do(func(h loader.Handler) { touch(h, announced[0]) })
	s.ticks(time.Second)
	s.do(func(loader.Handler) {
		if !first.open {
			t.Error("the first file was not opened again")
		}
	})
	s.ticks(time.Duration(fileWindows+3) * 10 * time.Second)
	if n := c.Stats().Sizes.Files; n != 0 {
		t.Errorf("%d descriptors that nothing has used for %d windows", n, fileWindows)
	}
}

// What comes above the hard bound of one window is counted, under a stack that says that it is not whole.
func TestCollectorHardBounds(t *testing.T) {
	s, k := newScript(), newKeeper()
	c, end := collect(t, s, CollectorOptions{Sinks: []Sink{k.sink()}, Identify: servicesByPID})
	s.do(func(loader.Handler) {
		c.gen.stacks.limit, c.gen.processes.limit, c.gen.comms.limit, c.gen.processes.series.limit = 100, 10, 10, 5
	})
	s.do(func(h loader.Handler) {
		for i := range 1000 {
			x := threadSample(1+i%20, 1+i%20)
			x.End, x.User = loader.EndTruncated, []uint64{uint64(i), uint64(i + 1)}
			s.sample(h, x)
		}
	})
	s.ticks(10 * time.Second)
	end()
	if k.samples() != 1000 || len(k.all[0].Windows) != 6 {
		t.Errorf("%d samples of 1000 in %d series", k.samples(), len(k.all[0].Windows))
	}
	if z := c.Stats().Sizes; z.StacksDropped != 951 {
		t.Errorf("%d stacks without room: %+v", z.StacksDropped, z)
	}
}

// A window that spans two generations holds the samples of both, with the objects of each.
func TestCollectorWindowOfTwoGenerations(t *testing.T) {
	s, k := newScript(), newKeeper()
	c, end := collect(t, s, CollectorOptions{Sinks: []Sink{k.sink()}, Identify: servicesByPID})
	touch := func(h loader.Handler, after time.Duration, ino uint64) {
		x := threadSample(1, 1)
		x.Time = s.now() + after
		x.End, x.User = loader.EndTruncated, []uint64{0x1800}
		x.VMAs = []loader.VMA{{Start: 0x1000, End: 0x2000, File: loader.FileID{Ino: ino}}}
		s.sample(h, x)
	}
	c.Reidentify()
	s.do(func(h loader.Handler) {
		touch(h, 0, 7)
		touch(h, 3*time.Second+grace/2, 8) // of the next window, while the first is open
		touch(h, 3*time.Second+2*grace, 8) // closes the first, and the generation with it
	})
	s.ticks(20 * time.Second)
	end()
	if n := c.Stats().Sizes.Generations; n != 2 {
		t.Errorf("%d generations, want 2", n)
	}
	if len(k.all) < 2 || samplesOf(k.all[0]) != 1 || samplesOf(k.all[1]) != 2 || len(k.all[1].Windows) != 1 {
		t.Fatalf("%d samples in %d windows", k.samples(), len(k.all))
	}
	if p := k.all[1].Windows[0].Profile; len(p.Sample) != 1 {
		t.Errorf("one stack of two generations is %d samples", len(p.Sample))
	}
}

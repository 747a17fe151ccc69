package agent

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var sink [][]byte

// left and right make a stack of their own for each path of n bits, so that the runtime's profile has 2^n stacks.
//
//go:noinline
func left(path, n int) { descend(path, n) }

//go:noinline
func right(path, n int) { descend(path, n) }

//go:noinline
func descend(path, n int) {
	switch {
	case n == 0:
		sink = append(sink, make([]byte, 64))
	case path&1 == 0:
		left(path>>1, n-1)
	default:
		right(path>>1, n-1)
	}
}

// cpuTime is what this process has used: a hypervisor may take CPUs away while the clock goes on.
func cpuTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkMemoryWatch is the work of one window: for all processes of this machine without heaps, and for this process
// with a heap of so many stacks, of which nothing, or all, allocated in the window.
func BenchmarkMemoryWatch(b *testing.B) {
	read := func(b *testing.B, w *MemoryWatch) MemoryReading {
		r, err := w.Read(time.Now())
		if err != nil {
			b.Fatal(err)
		}
		return r
	}
	b.Run("all/memory", func(b *testing.B) {
		w := NewMemoryWatch(MemoryWatchOptions{})
		defer w.Close()
		read(b, w)
		used := cpuTime(b)
		for b.Loop() {
			read(b, w)
		}
		pids, err := w.o.FS.PIDs()
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric((cpuTime(b)-used).Seconds()*1e6/float64(b.N*len(pids)), "cpu-us/process")
	})
	for _, bits := range []int{0, 10, 12} {
		for _, active := range []bool{false, true} {
			b.Run(fmt.Sprintf("heap/stacks=%d/active=%v", 1<<bits, active), func(b *testing.B) {
				rate := runtime.MemProfileRate
				runtime.MemProfileRate = 1
				defer func() { runtime.MemProfileRate = rate; sink = nil }()
				allocate := func() {
					sink = nil
					for path := range 1 << bits {
						descend(path, bits)
					}
					published()
				}
				allocate()
				runtime.MemProfileRate = rate
				w := NewMemoryWatch(MemoryWatchOptions{Targets: Targets{PIDs: []int{os.Getpid()}}, Heaps: true})
				defer w.Close()
				read(b, w)
				used := cpuTime(b)
				for b.Loop() {
					if active {
						b.StopTimer()
						begun := cpuTime(b)
						runtime.MemProfileRate = 1
						allocate()
						runtime.MemProfileRate = rate
						used += cpuTime(b) - begun
						b.StartTimer()
					}
					read(b, w)
				}
				b.ReportMetric((cpuTime(b)-used).Seconds()*1e3/float64(b.N), "cpu-ms/op")
			})
		}
	}
}

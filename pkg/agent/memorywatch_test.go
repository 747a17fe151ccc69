package agent

import (
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/goheap"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// Blocks are so large that each is in the runtime's profile.
const watchedBlock = 8 << 20

//go:noinline
func allocateWatched(n int) (kept [][]byte) {
	for range n {
		kept = append(kept, make([]byte, watchedBlock))
	}
	return kept
}

// published makes the runtime publish what was allocated and freed until now.
func published() { runtime.GC(); runtime.GC() }

// allocatedBy sums what an interval has of a function, and counts the windows.
func allocatedBy(i *profile.Interval, function string) (sum int64, windows int) {
	for _, w := range i.Windows {
		for _, s := range w.Profile.Sample {
			for _, l := range s.Location {
				if slices.ContainsFunc(l.Line, func(line pprof.Line) bool { return line.Function.Name == function }) {
					sum += s.Value[1]
					break
				}
			}
		}
	}
	return sum, len(i.Windows)
}

// blocks tells whether bytes are n blocks, but for what scaling adds.
func blocks(bytes int64, n int64) bool { return bytes >= n*watchedBlock && bytes < n*watchedBlock+4096 }

// This process, read by itself from outside: what it allocates between two readings is in the second and in no other, what
// it holds is in each for as long as it does, and its memory is counted for its service. Another process is none of Go's.
func TestMemoryWatch(t *testing.T) {
	other := exec.Command("sleep", "100")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { other.Process.Kill(); other.Wait() }()
	watch := NewMemoryWatch(MemoryWatchOptions{
		Targets: Targets{PIDs: []int{os.Getpid(), other.Process.Pid}}, Heaps: true,
		Identify: func(pid int, _ uint64) Identity {
			if pid == os.Getpid() {
				return Identity{Service: "me", Labels: map[string]string{"pod": "p"}, OK: true}
			}
			return Identity{Service: "other", OK: true}
		},
	})
	defer watch.Close()
	begin := time.Now()
	read := func() MemoryReading {
		t.Helper()
		published()
		r, err := watch.Read(begin.Add(time.Since(begin)))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	before := allocateWatched(4)
	if r := read(); r.Intervals != nil {
		t.Errorf("the first reading has %d intervals: of what?", len(r.Intervals))
	}
	kept := allocateWatched(3)
	const function = "github.com/ebpfprof/ebpfprof/pkg/agent.allocateWatched"
	r := read()
	if len(r.Intervals) != 2 || r.Intervals[0].Kind != HeapAlloc || r.Intervals[1].Kind != HeapInUse {
		t.Fatalf("intervals %v", r.Intervals)
	}
	allocated, windows := allocatedBy(r.Intervals[0], function)
	inUse, _ := allocatedBy(r.Intervals[1], function)
	if !blocks(allocated, 3) || !blocks(inUse, 7) || windows != 1 {
		t.Errorf("%d bytes allocated, %d in use, in %d windows; want 3 and 7 times %d", allocated, inUse, windows, watchedBlock)
	}
	for _, i := range r.Intervals {
		w := i.Windows[0]
		if w.Service != "me" || w.Labels["pod"] != "p" || w.Kind != i.Kind || w.Profile.SampleType[1].Type != i.Kind || w.Profile.CheckValid() != nil {
			t.Errorf("window %+v with types %v", w.Series, w.Profile.SampleType)
		}
		if i.Duration <= 0 || i.Lost != 0 {
			t.Errorf("%s over %s, %d lost", i.Kind, i.Duration, i.Lost)
		}
	}
	runtime.KeepAlive(before)
	use := r.Services["me"]
	if use.Heap < 7*watchedBlock || use.Resident < 7*watchedBlock>>4 { // untouched blocks are in use and not in RAM
		t.Errorf("memory of this process: %+v", use)
	}
	if use := r.Services["other"]; use.Heap == 0 || use.Heap > use.Resident {
		t.Errorf("memory of sleep: %+v", use)
	}
	runtime.KeepAlive(kept)
	kept, before = nil, nil
	r = read()
	allocated, _ = allocatedBy(r.Intervals[0], function)
	if inUse, _ = allocatedBy(r.Intervals[1], function); allocated != 0 || inUse != 0 {
		t.Errorf("after all was freed %d bytes were allocated and %d are in use", allocated, inUse)
	}
	if n := watch.Readings(); n != (HeapReadings{Done: 3}) {
		t.Errorf("readings %+v", n)
	}
}

// What was allocated since a mark is only told where both ends are known.
func TestSince(t *testing.T) {
	old, now := &goheap.Heap{Rate: 1}, &goheap.Heap{Rate: 2}
	one, two := &heapProgram{}, &heapProgram{}
	key := heapKey{1, 2}
	for name, c := range map[string]struct {
		w      watchedHeap
		m      heapMark
		before *goheap.Heap
		ok     bool
	}{
		"read twice":           {watchedHeap{heap: now, program: one}, heapMark{key: {old, one}}, old, true},
		"not read again":       {watchedHeap{heap: old, program: one}, heapMark{key: {old, one}}, nil, false},
		"failed":               {watchedHeap{heap: now, program: one, err: goheap.ErrGone}, heapMark{key: {old, one}}, nil, false},
		"began since":          {watchedHeap{heap: now, program: one}, heapMark{}, &goheap.Heap{}, true},
		"another program":      {watchedHeap{heap: now, program: two}, heapMark{key: {old, one}}, &goheap.Heap{}, true},
		"had none":             {watchedHeap{heap: now, program: one}, heapMark{key: {}}, nil, false},
		"never had a reading":  {watchedHeap{}, heapMark{key: {}}, nil, false},
		"was read first, lost": {watchedHeap{err: goheap.ErrDisabled}, heapMark{}, nil, false},
	} {
		before, ok := c.w.since(key, c.m)
		if ok != c.ok || ok && before.Rate != c.before.Rate {
			t.Errorf("%s: %+v, %v", name, before, ok)
		}
	}
}

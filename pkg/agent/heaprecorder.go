package agent

import (
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// heapKind is the kind of the event heap. Its samples do not go into the Recorder's profile: see HeapRecorder.
func heapKind(e loader.Event) Kind {
	return Kind{
		Event: e.Name, Type: profile.ValueType{Type: "inuse_space", Unit: "bytes"}, Period: int64(e.Period),
		PeriodType: profile.ValueType{Type: "space", Unit: "bytes"},
		Objects:    profile.ValueType{Type: "inuse_objects", Unit: "count"},
	}
}

// A HeapRecorder follows sampled allocations until they are freed: who holds how much, over time, at its peak and at the
// end, and what stays. It takes the samples of the event heap, in the numbers of a Recorder, which takes all others; like
// that, it is of one goroutine.
//
// A process that ends leaves the heap's total, but what it had not given back stays in the profile as in use, as of its end:
// nobody could say otherwise what a command has leaked. One that becomes another program starts anew.
type HeapRecorder struct {
	*Recorder
	event  int
	begin  time.Duration // CLOCK_MONOTONIC, as all times here
	start  time.Time     // begin, by the wall
	last   time.Duration // of what was told
	nested func(*loader.Sample) bool
	kernel HeapKernel

	gone  map[int]time.Duration // processes that left memory behind in the kernel's map, and when
	swept time.Duration

	sites     map[sampleKey]*heapSite
	list      []*heapSite // in the order of their first samples
	processes map[processKey]*heapProcess
	lives     map[loader.HeapID]liveAlloc
	timeline  heapTimeline
	counts    heapCounts
	leftovers int
}

// heapCounts says what became of samples.
type heapCounts struct {
	samples  uint64
	freed    uint64
	reused   uint64
	failed   uint64
	unseen   uint64 // whose frees could not be seen: no room
	unlisted uint64 // of sites or processes for which there was no room
	exec     uint64 // gone with the program that their process was
}

// A heapProcess is one that allocates. What it becomes by exec is the same one.
type heapProcess struct {
	pid   int
	start uint64
	first time.Duration // sample, of its present program
	ended time.Duration // 0: it lives
}

// A liveAlloc is a sampled allocation that was not freed.
type liveAlloc struct {
	site    *heapSite
	weight  uint64
	objects float64
}

// Bounds of what is remembered.
const (
	maxHeapSites = 64 << 10
	maxLives     = 512 << 10 // twice what the kernel side has room for: of processes that ended, too
)

// A HeapKernel knows what was sampled and not freed: a *loader.Sampler.
type HeapKernel interface {
	LiveAllocs(f func(id loader.HeapID, pid int) (forget bool)) error
}

// NewHeapRecorder returns a recorder of the event with a number. nested, if not nil, reports samples that are an allocator's
// own calls, which are left out.
func NewHeapRecorder(r *Recorder, k HeapKernel, event int, nested func(*loader.Sample) bool) *HeapRecorder {
	return &HeapRecorder{
		Recorder: r, kernel: k, event: event, nested: nested, gone: map[int]time.Duration{},
		sites: map[sampleKey]*heapSite{}, processes: map[processKey]*heapProcess{}, lives: map[loader.HeapID]liveAlloc{},
		timeline: newHeapTimeline(),
	}
}

// Begin is called when probes are about to be put, before anything is told.
func (h *HeapRecorder) Begin() {
	h.begin, h.start = systemClock()
	h.last = h.begin
}

// Sample takes one sample, of whatever event.
func (h *HeapRecorder) Sample(s *loader.Sample) {
	if s.Event != h.event {
		h.Recorder.Sample(s)
		return
	}
	if h.nested != nil && h.nested(s) {
		return
	}
	h.counts.samples++
	if h.first == 0 || s.Time < h.first {
		h.first = s.Time
	}
	if s.Guessed {
		h.guessed[s.Event]++
	}
	h.samples++
	comm := h.comms.add(s.Comm)
	key := sampleKey{stack: h.Recorder.stacks.add(s, h.objects), process: h.Recorder.processes.add(s, comm), comm: comm, kindTag: kindTagOf(s)}
	site := h.sites[key]
	if site == nil {
		p := h.process(s)
		if p == nil || len(h.list) >= maxHeapSites {
			h.counts.unlisted++
			return
		}
		site = &heapSite{key: key, process: p}
		h.sites[key] = site
		h.list = append(h.list, site)
	}
	bin := h.at(s.Time)
	site.born(bin, s.Weight, s.Objects)
	if len(h.lives) >= maxLives {
		h.counts.unseen++
		return
	}
	h.lives[loader.HeapID{TID: s.TID, Time: s.Time}] = liveAlloc{site, s.Weight, s.Objects}
	h.change(site, bin, int64(s.Weight), s.Objects)
}

func (h *HeapRecorder) process(s *loader.Sample) *heapProcess {
	key := processKey{s.PID, s.StartNs}
	p := h.processes[key]
	if p == nil {
		if len(h.processes) >= hardProcesses {
			return nil
		}
		p = &heapProcess{pid: s.PID, start: s.StartNs, first: s.Time}
		if len(h.processes) == 0 {
			p.first = min(h.begin, s.Time) // it was watched before it allocated
		}
		h.processes[key] = p
	}
	return p
}

// at returns the bin of a time, and remembers how far things have got. CPUs tell of their events in an order that is
// right to some microseconds.
func (h *HeapRecorder) at(t time.Duration) int {
	h.last = max(h.last, t)
	bin, halved := h.timeline.bin(h.last - h.begin)
	for range halved {
		for _, s := range h.list {
			s.merge()
		}
	}
	return bin
}

// change enters what a site got or gave back.
func (h *HeapRecorder) change(site *heapSite, bin int, bytes int64, objects float64) {
	if bytes < 0 && h.timeline.atPeak() {
		h.timeline.keepPeak(h.list)
	}
	site.change(bin, bytes, objects)
	h.timeline.add(bin, h.last-h.begin, bytes)
}

// Heap takes a note of what was sampled before.
func (h *HeapRecorder) Heap(n loader.HeapNote) {
	switch n.What {
	case loader.HeapExec:
		h.leave(n, true)
		return
	case loader.HeapExit:
		h.leave(n, false)
		return
	}
	a, ok := h.lives[n.ID]
	if !ok {
		return // it was left out
	}
	delete(h.lives, n.ID)
	h.change(a.site, h.at(n.At), -int64(a.weight), -a.objects)
	switch n.What {
	case loader.HeapFreed:
		h.counts.freed++
		a.site.died(n.At - n.ID.Time)
	case loader.HeapReused:
		h.counts.reused++
		a.site.died(n.At - n.ID.Time) // it was freed before, unseen
	case loader.HeapFailed:
		h.counts.failed++
	case loader.HeapFull:
		h.counts.unseen++
	}
}

// leave takes a process's memory out of the total: it has gone with the program, or with the process.
func (h *HeapRecorder) leave(n loader.HeapNote, exec bool) {
	p := h.processes[processKey{n.PID, n.StartNs}]
	if p == nil {
		return
	}
	h.gone[n.PID] = n.At
	if exec {
		p.first = n.At
	} else {
		p.ended = n.At
	}
	bin := h.at(n.At)
	for id, a := range h.lives {
		if a.site.process != p || id.Time >= n.At {
			continue
		}
		delete(h.lives, id)
		h.change(a.site, bin, -int64(a.weight), -a.objects)
		if exec {
			h.counts.exec++
			continue
		}
		if h.leftovers++; h.leftovers > maxLives {
			h.counts.unseen++
			continue
		}
		a.site.leftover = append(a.site.leftover, survivor{id.Time, a.weight, a.objects})
	}
}

// sweepInterval is how often room in the kernel's map that processes left behind is given back.
const sweepInterval = 5 * time.Second

// Tick is called between two drains of the ring.
func (h *HeapRecorder) Tick() {
	h.Recorder.Tick()
	if len(h.gone) == 0 || h.last < h.swept+sweepInterval {
		return
	}
	h.swept = h.last
	// If it fails, there is less room, and what finds none is counted.
	_ = h.kernel.LiveAllocs(func(id loader.HeapID, pid int) bool {
		at, gone := h.gone[pid]
		return gone && id.Time < at
	})
	clear(h.gone)
}

// Settle ends the recording: of what the kernel does not know any more, the free was not told. It returns how many that
// are: their lifetimes are not known.
func (h *HeapRecorder) Settle() (missing int, err error) {
	known := map[loader.HeapID]bool{}
	if err := h.kernel.LiveAllocs(func(id loader.HeapID, _ int) bool { known[id] = true; return false }); err != nil {
		return 0, err
	}
	for id, a := range h.lives {
		if known[id] {
			continue
		}
		missing++
		delete(h.lives, id)
		h.change(a.site, h.at(h.last), -int64(a.weight), -a.objects)
	}
	return missing, nil
}

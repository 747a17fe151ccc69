package main

import (
	"slices"
	"sync"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/agent"
	"github.com/ebpfprof/ebpfprof/pkg/loader"
)

// A walk is what the kernel's walker made of one context switch.
type walk struct {
	time    time.Duration
	user    []uint64 // leaf first; calls, not returns
	end     loader.End
	certain bool
	guessed bool
	skipped int
	jit     bool // it touches code that no file has
}

// A pair is one stopped thread as both saw it.
type pair struct {
	thread thread
	walk   walk
	found  bool // there is a walk
	again  bool // the thread is where its last stop left it
}

// pairs brings stops and samples together. A thread that stops is switched out, which is the event that is sampled; it
// is not switched in until it goes on. So the walk of a stop is the thread's last sample before it.
//
// Sample, File and Tick are called on the reader's goroutine, add on gdb's.
type pairs struct {
	*agent.Recorder // compiles the tables; it counts nothing
	yield           func(pair)

	mu      sync.Mutex
	walks   map[int][]walk // by thread
	stops   []stop
	drained time.Duration // everything before was read
	last    map[int]thread
}

func newPairs(r *agent.Recorder, yield func(pair)) *pairs {
	return &pairs{Recorder: r, yield: yield, walks: map[int][]walk{}, last: map[int]thread{}}
}

// Sample keeps a copy of a sample.
func (p *pairs) Sample(s *loader.Sample) {
	w := walk{
		time: s.Time, user: slices.Clone(s.User), end: s.End, certain: s.Certain, guessed: s.Guessed, skipped: s.Skipped,
		jit: slices.ContainsFunc(s.VMAs, func(v loader.VMA) bool { return v.Kind == loader.VMAAnon }),
	}
	p.mu.Lock()
	p.walks[s.TID] = append(p.walks[s.TID], w)
	p.mu.Unlock()
}

func (p *pairs) add(s stop) {
	p.mu.Lock()
	p.stops = append(p.stops, s)
	p.mu.Unlock()
}

// Tick pairs the stops whose samples have all been read.
func (p *pairs) Tick() {
	now := monotonic()
	p.settle(p.drained)
	p.drained = now
}

// settle pairs the stops before a time.
func (p *pairs) settle(before time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.stops) > 0 && p.stops[0].Stopped < before {
		for _, t := range p.stops[0].Threads {
			p.yield(p.pair(t, p.stops[0]))
		}
		for tid, walks := range p.walks {
			p.walks[tid] = slices.DeleteFunc(walks, func(w walk) bool { return w.time <= p.stops[0].Stopped })
		}
		p.stops = p.stops[1:]
	}
}

func (p *pairs) pair(t thread, s stop) pair {
	out := pair{thread: t}
	for _, w := range p.walks[t.TID] {
		if w.time > s.Resumed && w.time <= s.Stopped && w.time >= out.walk.time {
			out.walk, out.found = w, true
		}
	}
	last, ok := p.last[t.TID]
	out.again = ok && last.SP == t.SP && slices.Equal(last.Frames, t.Frames)
	p.last[t.TID] = t
	return out
}

package agent

import (
	"fmt"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/goheap"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// A heapMark is what a look has found, to be compared with a later one.
type heapMark map[heapKey]markedHeap

type markedHeap struct {
	heap    *goheap.Heap // nil: it had none
	program *heapProgram
}

// mark remembers what is known of every process now.
func (g *GoHeaps) mark() heapMark {
	m := heapMark{}
	for key, w := range g.watched {
		m[key] = markedHeap{w.heap, w.program}
	}
	return m
}

// since returns what a process had at a mark, and false if what it did since then is not known: it was not read since, or
// was known then without a profile.
func (w *watchedHeap) since(key heapKey, m heapMark) (before *goheap.Heap, ok bool) {
	marked, known := m[key]
	switch {
	case w.heap == nil || w.err != nil || known && w.heap == marked.heap:
		return nil, false
	case !known, marked.heap != nil && marked.program != w.program:
		return &goheap.Heap{}, true // it began since then, or became this program
	}
	return marked.heap, marked.heap != nil
}

// ProfileSince is Profile of what has changed since a mark. Processes that have ended since then, or that had no profile
// then, are not in it, and named.
func (g *GoHeaps) profileSince(m heapMark, from, to time.Time, defaultType string, comments []string) (p *pprof.Profile, processes int) {
	s := g.summary(to)
	o := goheap.HeapOptions(s.rate, from)
	o.Duration, o.DefaultType, o.Comments = to.Sub(from), defaultType, comments
	type missing struct {
		key heapKey
		w   *watchedHeap
	}
	var without []missing
	b := profile.NewBuilder(o)
	for _, key := range g.sorted() {
		w := g.watched[key]
		if before, ok := w.since(key, m); ok {
			w.heap.AddChangeTo(b, w.named(), w.labels(key), before)
			processes++
		} else {
			without = append(without, missing{key, w})
		}
	}
	p = b.Profile()
	for i, x := range without {
		if i == maxWithout {
			p.Comments = append(p.Comments, fmt.Sprintf("no heap of %d more processes", len(without)-i))
			break
		}
		reason := "it has ended"
		if x.w.err != nil {
			reason = reasonOf(x.w.err)
		} else if m[x.key].heap == nil && x.w.heap != nil {
			reason = "it had none at the beginning"
		}
		p.Comments = append(p.Comments, fmt.Sprintf("no heap of process %d (%s): %s", x.key.pid, x.w.comm, reason))
	}
	return p, processes
}

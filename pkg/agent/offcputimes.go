package agent

import (
	"maps"
	"sync"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
)

// OffCPUTimes keeps the times of processes that have gone, which the kernel side forgets: about 100 bytes for each. The
// zero value is ready. Safe for concurrent use.
type OffCPUTimes struct {
	mu    sync.Mutex
	ended map[loader.ProcessID]endedTimes
}

type endedTimes struct {
	in       [loader.Doings]int64
	switches uint64
}

// Visited takes what a visit of all threads has found. It is an OffCPU.Visited.
func (o *OffCPUTimes) Visited(t *loader.OffCPUTotals) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended == nil {
		o.ended = map[loader.ProcessID]endedTimes{}
	}
	for i := range t.Ended {
		e := endedTimes{switches: t.Ended[i].Switches}
		for d, ns := range t.Ended[i].In {
			e.in[d] = int64(ns)
		}
		o.ended[loader.ProcessID{PID: t.Ended[i].PID, StartNs: t.Ended[i].StartNs}] = e
	}
}

// Complete adds to the last totals of a recording the processes that they do not have any more. Their waits for a CPU
// by length are not kept.
func (o *OffCPUTimes) Complete(last loader.OffCPUTotals) loader.OffCPUTotals {
	o.mu.Lock()
	defer o.mu.Unlock()
	gone := maps.Clone(o.ended)
	for i := range last.Ended {
		delete(gone, loader.ProcessID{PID: last.Ended[i].PID, StartNs: last.Ended[i].StartNs})
	}
	all := last.Ended[:len(last.Ended):len(last.Ended)]
	for id, e := range gone {
		p := loader.ProcessTimes{PID: id.PID, StartNs: id.StartNs}
		p.Switches = e.switches
		for d, ns := range e.in {
			p.In[d] = time.Duration(ns)
		}
		all = append(all, p)
	}
	last.Ended = all
	return last
}

package agent

import (
	"math"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
)

// A fitCell is what the exact times know by itself: a state of a living thread, or (tid 0) of the threads of a process
// that have ended.
type fitCell struct {
	process processKey
	tid     int
	state   loader.Doing
}

// A fitting is what the samples of a cell say of its time.
type fitting struct {
	keys   []sampleKey
	waited float64 // ns that were seen to be waited
	stood  float64 // ns more that the samples stand for
}

const (
	// maxFit bounds how often what samples stand for may be multiplied. Where so little of a time was sampled, what
	// is left of it has no stack.
	maxFit = 4
	// minUnseen is the least time that is worth a sample without a stack, in ns.
	minUnseen = 10_000
)

// FitOffCPU makes the samples of the kind off-cpu stand for exactly the times that the kernel side has counted, for each
// thread and state. What a sample was seen to wait stands for itself; the rest of the time, which was not sampled, is
// laid on the samples of the cell in proportion to what they stand for beyond themselves. Time of which (almost) nothing
// was sampled goes to a stack of its own, which says so.
//
// It returns what the samples alone stood for, in ns by state. It is called once, after the last sample.
func (r *Recorder) FitOffCPU(kind int, t loader.OffCPUTotals) map[loader.Doing]int64 {
	exact := exactOffCPU(&t)
	cells := map[fitCell]*fitting{}
	alone := map[loader.Doing]int64{}
	ids := make(map[uint32]processKey, len(r.processes.ids))
	for key, l := range r.processes.ids {
		ids[l.id] = key
	}
	for key, c := range r.counts {
		if key.kind() != kind {
			continue
		}
		state, _ := loader.OffCPUTag(key.tag())
		alone[state] += int64(c.weight)
		cell := fitCell{ids[key.process], int(key.tid), state}
		if _, lives := exact[cell]; !lives {
			cell.tid = 0
		}
		f := cells[cell]
		if f == nil {
			f = &fitting{}
			cells[cell] = f
		}
		f.keys = append(f.keys, key)
		f.waited += float64(c.waited)
		f.stood += float64(c.weight - min(c.waited, c.weight))
	}
	factors := map[sampleKey]float64{}
	for cell, ns := range exact {
		f := cells[cell]
		if f == nil {
			f = &fitting{}
		}
		unseen := r.fit(f, ns, factors)
		if unseen >= minUnseen {
			r.addUnseen(kind, cell, uint64(unseen), &t)
		}
	}
	if r.moments != nil {
		r.moments.scale(factors)
	}
	return alone
}

// fit changes the weights of a cell's samples, and returns how much of its time they cannot stand for.
func (r *Recorder) fit(f *fitting, exact float64, factors map[sampleKey]float64) float64 {
	own, more, unseen := 1.0, 0.0, 0.0
	rest := exact - f.waited
	switch {
	case rest <= 0: // the waits are measured a little differently
		own = exact / max(f.waited, 1)
	case f.stood*maxFit < rest:
		more = maxFit
		unseen = rest - f.stood*maxFit
	default:
		more = rest / f.stood
	}
	for _, key := range f.keys {
		c := r.counts[key]
		old := c.weight
		waited := min(c.waited, c.weight)
		c.weight = uint64(math.Round(float64(waited)*own + float64(c.weight-waited)*more))
		r.counts[key] = c
		factors[key] = float64(c.weight) / float64(max(old, 1))
	}
	return unseen
}

// addUnseen counts time without a sample.
func (r *Recorder) addUnseen(kind int, cell fitCell, ns uint64, t *loader.OffCPUTotals) {
	s := loader.Sample{PID: cell.process.pid, StartNs: cell.process.startNs, TID: cell.tid, Event: kind, Tag: uint16(cell.state)}
	for i := range t.Threads {
		if th := &t.Threads[i]; th.PID == s.PID && th.StartNs == s.StartNs && (s.TID == 0 || th.TID == s.TID) {
			s.Comm = []byte(th.Comm)
			break
		}
	}
	comm := r.comms.add(s.Comm)
	key := sampleKey{
		stack: r.stacks.unseen(), process: r.processes.add(&s, comm), tid: int32(s.TID), comm: comm, kindTag: kindTagOf(&s),
	}
	c := r.counts[key]
	c.weight += ns
	r.counts[key] = c
}

// exactOffCPU is the time of each cell, in ns, but that on a CPU.
func exactOffCPU(t *loader.OffCPUTotals) map[fitCell]float64 {
	exact := map[fitCell]float64{}
	add := func(process processKey, tid int, times *loader.Times) {
		for d, ns := range times.In {
			if d := loader.Doing(d); d != loader.Running && ns > 0 {
				exact[fitCell{process, tid, d}] += float64(ns)
			}
		}
	}
	for i := range t.Threads {
		th := &t.Threads[i]
		add(processKey{th.PID, th.StartNs}, th.TID, &th.Times)
	}
	for i := range t.Ended {
		add(processKey{t.Ended[i].PID, t.Ended[i].StartNs}, 0, &t.Ended[i].Times)
	}
	return exact
}

package agent

import (
	"slices"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
)

// wakerEndShift parts the number of a waker's name, below, from how its stack ended.
const wakerEndShift = 16

// addWoken returns the number of s's stack with its waker's on top: leaf first, so that the place where one waits and that
// where the other wakes meet. comm is the number of the waker's name.
func (t *stacks) addWoken(s *loader.Sample, comm uint16, o *objects) uint32 {
	t.full = false
	t.touch(s, o)
	at := t.walk(s)
	w := s.Waker
	t.touch(w, o)
	at = t.child(at, newFrame(wakerIndex, uint64(w.End)<<wakerEndShift|uint64(comm)))
	for i, addr := range w.Kernel {
		at = t.child(at, frame(callSite(addr, i)))
	}
	for i, addr := range w.User {
		if i == loader.GapAt && w.Skipped > 0 {
			at = t.child(at, newFrame(gapIndex, 0))
		}
		at = t.child(at, t.locate(addr, w.VMAs))
	}
	return t.number(at, s)
}

// wakerPlaces name the frames that begin wakers' stacks: [waker: NAME], and what its stack lacks.
func wakerPlaces(comms []string, frames []frame) []*place {
	out := make([]*place, len(frames))
	for i, f := range frames {
		name := "[waker: " + comms[uint16(f.offset())]
		if end := loader.End(f.offset() >> wakerEndShift); !end.Complete() {
			name += ", " + end.String()
		}
		out[i] = &place{LiveLocation: markerLocation(name + "]"), gap: true, waker: true}
	}
	return out
}

// waited are the places of a stack without its waker's.
func (st namedStack) waited() []*place {
	return st.places[1+slices.IndexFunc(st.places, func(p *place) bool { return p.waker }):]
}

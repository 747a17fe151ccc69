package agent

import (
	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// gapMarker stands for the frames that are missing in the middle of a deep stack.
const gapMarker = "[truncated]"

// unseenMarker stands for the stack of what is known to have been, and of which no sample was taken.
const unseenMarker = "[no stack sampled]"

// A namedStack is a stack whose frames have places.
type namedStack struct {
	places     []*place // leaf first
	marker     string   // at its root; "" for a complete stack
	unseen     bool     // no sample tells it
	end        loader.End
	frames     int // addresses
	symbolized int // of these with a name
}

// read returns the stack with number id, whose frames were named, with its places in buf. A stack that claims to be
// complete is checked: a frame pointer of 0 may be any register's content in code that keeps none.
func (v *view) read(id uint32, places []*place, buf []*place) namedStack {
	st := v.stacks[id]
	out := namedStack{end: st.end, places: buf[:0]}
	var last frame
	root := false
	for at := st.leaf; at != 0; at = v.nodes[at].parent {
		p := places[at]
		out.places = append(out.places, p)
		last, root = v.nodes[at].frame, p.root
		if p.gap {
			out.unseen = out.unseen || v.nodes[at].frame.index() == unseenIndex
			continue
		}
		out.frames++
		if len(p.Frames) > 0 && !p.jit {
			out.symbolized++
		}
	}
	if st.end == loader.EndComplete && !st.certain && !root {
		out.end = loader.EndNoUnwindInfo
	}
	out.marker = v.marker(out.end, last)
	if st.skipped && out.end.Complete() {
		out.end = loader.EndTruncated // the root is there, the middle is not
	}
	return out
}

// reason says why a stack is not complete; "" when it is.
func (st namedStack) reason() string {
	if st.unseen {
		return "not_sampled"
	}
	if st.end.Complete() {
		return ""
	}
	return st.end.String()
}

// functions yields the names of the stack's functions, leaf first and callees before those that they are inlined in. Those of
// a waker are not the stack's.
func (st namedStack) functions(yield func(string) bool) {
	for _, p := range st.waited() {
		for i := range p.Frames {
			if !yield(p.Frames[i].Name) {
				return
			}
		}
	}
}

// A locator enters places into one builder, each once.
type locator struct {
	b    *profile.Builder
	made []*pprof.Location
	buf  []*pprof.Location
}

// locations makes the locations of a stack. They are valid until the next call.
func (l *locator) locations(st namedStack) []*pprof.Location {
	l.buf = l.buf[:0]
	for _, p := range st.places {
		l.buf = append(l.buf, l.location(p))
	}
	if st.marker != "" {
		l.buf = append(l.buf, l.b.Marker(st.marker))
	}
	return l.buf
}

func (l *locator) location(p *place) *pprof.Location {
	if p.owner == l {
		return l.made[p.at]
	}
	var loc *pprof.Location
	if p.gap {
		loc = l.b.Marker(p.Frames[0].Name)
	} else {
		loc = l.b.Location(p.Mapping, p.Addr, p.Frames)
	}
	p.owner, p.at = l, int32(len(l.made))
	l.made = append(l.made, loc)
	return loc
}

// done lets go of the builder: places keep their last locator.
func (l *locator) done() { *l = locator{} }

package agent

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
	"github.com/ebpfprof/ebpfprof/pkg/symbolize"
)

// place is a named frame.
type place struct {
	mapping profile.Mapping
	addr    uint64 // in the object file; a kernel address as it is
	frames  []profile.Frame
	root    bool // a thread starts here
	jit     bool
	gap     bool
}

// namedStack is a stack that is ready for the profile.
type namedStack struct {
	locations  []*pprof.Location
	end        loader.End
	frames     int // addresses
	symbolized int // of these with a name
}

// naming is the places of all frames of one profile.
type naming struct {
	stacks *stacks
	places map[frame]*place
	module func(frame) string
	done   map[uint32]namedStack // by number of the stack
}

// name looks up every distinct frame, object by object, so that one index is held at a time.
func (r *Recorder) name() *naming {
	n := &naming{
		stacks: r.stacks, places: map[frame]*place{}, module: r.objects.moduleOf,
		done: map[uint32]namedStack{},
	}
	for _, node := range r.stacks.nodes[1:] {
		n.places[node.frame] = nil
	}
	frames := slices.Sorted(maps.Keys(n.places))
	for len(frames) > 0 {
		index := frames[0].index()
		end := 1
		for end < len(frames) && frames[end].index() == index {
			end++
		}
		n.nameObject(index, frames[:end], r.objects)
		frames = frames[end:]
	}
	return n
}

func (n *naming) nameObject(index int, frames []frame, o *objects) {
	switch index {
	case kernelIndex:
		n.nameKernel(frames)
	case vdsoIndex:
		obj, err := symbolize.VDSO()
		if err != nil {
			obj = nil
		}
		n.nameFile(obj, profile.VDSOMapping, frames)
	case gapIndex:
		n.places[frames[0]] = &place{gap: true}
	case jitIndex, unknownIndex:
		name := profile.JITMapping
		if index == unknownIndex {
			name = "[unknown]"
		}
		for _, f := range frames {
			n.places[f] = &place{
				mapping: profile.Mapping{File: name}, addr: f.offset(), jit: true,
				frames: []profile.Frame{{Name: name}},
			}
		}
	default:
		ob := o.list[index-firstFile]
		n.nameFile(ob.parse(), ob.display(), frames)
	}
}

func (n *naming) nameKernel(frames []frame) {
	addrs := make([]uint64, len(frames))
	for i, f := range frames {
		addrs[i] = uint64(f)
	}
	names := kernelNames(addrs)
	for i, f := range frames {
		n.places[f] = &place{
			mapping: profile.Mapping{File: profile.KernelMapping}, addr: addrs[i], frames: names(i),
		}
	}
}

// kernelNames asks the kernel for names, by program or by file. Where neither tells, frames keep their addresses.
func kernelNames(addrs []uint64) func(i int) []profile.Frame {
	if names, _, err := loader.KernelNames(addrs); err == nil {
		return func(i int) []profile.Frame {
			if names[i] == "" {
				return nil
			}
			return []profile.Frame{{Name: names[i]}}
		}
	}
	if f, err := os.Open("/proc/kallsyms"); err == nil {
		defer f.Close()
		if k, err := symbolize.ReadKernel(f); err == nil {
			return func(i int) []profile.Frame { return k.Frames(addrs[i]) }
		}
	}
	return func(int) []profile.Frame { return nil }
}

// nameFile names frames of one object; obj is nil when it could not be read.
func (n *naming) nameFile(obj *symbolize.Object, name string, frames []frame) {
	if obj == nil {
		for _, f := range frames {
			n.places[f] = &place{mapping: profile.Mapping{File: name}, addr: f.offset()}
		}
		return
	}
	for _, f := range frames {
		addr, ok := obj.Address(f.offset())
		if !ok {
			n.places[f] = &place{mapping: profile.Mapping{File: name, BuildID: obj.BuildID()}, addr: f.offset()}
			continue
		}
		p := &place{mapping: obj.Mapping(addr, name), addr: addr, frames: obj.Frames(addr)}
		p.root = isRoot(p.frames) || atEntry(obj.Entry(), addr)
		n.places[f] = p
	}
	obj.Release()
}

// display is the name of an object's mapping.
func (o *object) display() string {
	if o.name != "" {
		return o.name
	}
	return fmt.Sprintf("[inode %d:%d]", o.id.Dev, o.id.Ino)
}

// moduleOf is the short name of a frame's object, for markers.
func (t *objects) moduleOf(f frame) string {
	switch i := f.index(); i {
	case kernelIndex:
		return profile.KernelMapping
	case jitIndex, gapIndex:
		return profile.JITMapping
	case vdsoIndex:
		return profile.VDSOMapping
	case unknownIndex:
		return "[unknown]"
	default:
		return path.Base(t.list[i-firstFile].display())
	}
}

// stack makes the locations of the stack with number id, and checks that a stack that claims to be complete is: a
// frame pointer of 0 may be any register's content in code that keeps none.
func (n *naming) stack(b *profile.Builder, id uint32) namedStack {
	if out, ok := n.done[id]; ok {
		return out
	}
	st := n.stacks.list[id]
	frames := n.stacks.appendFrames(nil, st)
	out := namedStack{end: st.end, frames: len(frames)}
	for _, f := range frames {
		p := n.places[f]
		if p.gap {
			out.frames--
			out.locations = append(out.locations, b.Marker("["+loader.EndTruncated.String()+"]"))
			continue
		}
		if len(p.frames) > 0 && !p.jit {
			out.symbolized++
		}
		out.locations = append(out.locations, b.Location(p.mapping, p.addr, p.frames))
	}
	var last frame
	if len(frames) > 0 {
		last = frames[len(frames)-1]
	}
	if st.end == loader.EndComplete && !st.certain && !n.places[last].root {
		out.end = loader.EndNoUnwindInfo
	}
	if marker := n.marker(out.end, last); marker != "" {
		out.locations = append(out.locations, b.Marker(marker))
	}
	if st.skipped && out.end.Complete() {
		out.end = loader.EndTruncated // the root is there, the middle is not
	}
	n.done[id] = out
	return out
}

// marker is the frame that roots an incomplete stack.
func (n *naming) marker(end loader.End, last frame) string {
	switch end {
	case loader.EndComplete, loader.EndKernelThread:
		return ""
	case loader.EndNoUnwindInfo:
		return "[no unwind info: " + strings.Trim(n.module(last), "[]") + "]"
	case loader.EndUnreadable:
		return "[stack not resident]"
	case loader.EndNoMapping:
		return "[no mapping]"
	case loader.EndExited:
		return "[process exited]"
	case loader.EndCompat:
		return "[32-bit process]"
	case loader.EndMappings:
		return "[too many mappings]"
	}
	return "[" + end.String() + "]"
}

func sortedKeys(m map[sampleKey]count) []sampleKey {
	return slices.SortedFunc(maps.Keys(m), func(a, b sampleKey) int {
		return cmp.Or(cmp.Compare(a.process, b.process), cmp.Compare(a.tid, b.tid),
			cmp.Compare(a.stack, b.stack), strings.Compare(a.comm, b.comm))
	})
}

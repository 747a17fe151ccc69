package agent

import (
	"cmp"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
	"github.com/ebpfprof/ebpfprof/pkg/symbolize"
)

// A namer looks up the names of frames. Whoever uses it, or the places of a generation, holds mu meanwhile. It is never
// used by the goroutine that reads samples.
type namer struct {
	mu    sync.Mutex
	cache placeCache
	// indexes are those of the objects that have new addresses.
	indexes indexCache
	kernel  kernelNamer
	pass    uint64
	hurry   atomic.Bool // there is no time left: what has no name yet gets none
	stats   namingStats
}

// close releases indexes and the kernel's names. What is named later opens them again.
func (n *namer) close() {
	n.indexes.close()
	n.kernel.close()
}

// namingStats says what naming cost.
type namingStats struct {
	looked time.Duration // looking names up
	places uint64        // places named by an object or the kernel
}

// name gives every frame of some stacks its place, object by object, so that one index is held at a time.
func (n *namer) name(v *view, stacks []uint32) {
	begin := time.Now()
	missing := n.missing(v, stacks)
	slices.SortFunc(missing, func(a, b uint32) int { return cmp.Compare(v.nodes[a].frame, v.nodes[b].frame) })
	for len(missing) > 0 {
		index := v.nodes[missing[0]].frame.index()
		end := 1
		for end < len(missing) && v.nodes[missing[end]].frame.index() == index {
			end++
		}
		n.nameObject(v, index, missing[:end])
		missing = missing[end:]
	}
	n.stats.looked += time.Since(begin)
}

// missing returns the nodes of stacks that have no place after a look into the cache.
func (n *namer) missing(v *view, stacks []uint32) []uint32 {
	g := v.gen
	if more := len(v.nodes) - len(g.places); more > 0 {
		g.places = append(g.places, make([]*place, more)...)
		g.seen = append(g.seen, make([]uint64, more)...)
	}
	n.pass++
	var out []uint32
	for _, id := range stacks {
		for at := v.stacks[id].leaf; at != 0 && g.seen[at] != n.pass; at = v.nodes[at].parent {
			g.seen[at] = n.pass
			p := g.places[at]
			if p != nil && !(p.unread && v.object(v.nodes[at].frame).readable()) {
				continue
			}
			if key, ok := v.key(v.nodes[at].frame); ok && p == nil {
				g.places[at] = n.cache.get(key)
			} else {
				g.places[at] = nil
			}
			if g.places[at] == nil {
				out = append(out, at)
			}
		}
	}
	return out
}

// key is what a frame's place is kept under; ok is false for what is not worth it.
func (v *view) key(f frame) (k placeKey, ok bool) {
	switch i := f.index(); i {
	case kernelIndex:
		return placeKey{kernelSerial, uint64(f)}, true
	case vdsoIndex:
		return placeKey{vdsoSerial, f.offset()}, true
	case unknownIndex, jitIndex, gapIndex, unseenIndex, wakerIndex:
		return placeKey{}, false
	}
	return placeKey{v.object(f).serial, f.offset()}, true
}

// object is the file of a frame that lies in one.
func (v *view) object(f frame) *object { return v.objects[f.index()-firstFile] }

// nameObject names nodes of one object, which are sorted by frame.
func (n *namer) nameObject(v *view, index int, nodes []uint32) {
	frames := make([]frame, 0, len(nodes))
	for _, at := range nodes {
		if f := v.nodes[at].frame; len(frames) == 0 || frames[len(frames)-1] != f {
			frames = append(frames, f)
		}
	}
	places := n.placesOf(v, index, frames)
	i := 0
	for _, at := range nodes {
		if v.nodes[at].frame != frames[i] {
			i++
		}
		v.gen.places[at] = places[i]
	}
	for i, p := range places {
		if key, ok := v.key(frames[i]); ok && !p.unread {
			intern(p.Frames)
			n.cache.put(key, p)
			n.stats.places++
		}
	}
}

func (n *namer) placesOf(v *view, index int, frames []frame) []*place {
	switch index {
	case kernelIndex:
		return n.kernel.places(frames)
	case vdsoIndex:
		obj, err := symbolize.VDSO()
		if err != nil {
			obj = nil
		}
		return n.placesIn(obj, profile.VDSOMapping, frames, false)
	case wakerIndex:
		return wakerPlaces(v.comms, frames)
	case gapIndex:
		return []*place{{LiveLocation: markerLocation(gapMarker), gap: true}}
	case unseenIndex:
		return []*place{{LiveLocation: markerLocation(unseenMarker), gap: true}}
	case jitIndex, unknownIndex:
		name := profile.JITMapping
		if index == unknownIndex {
			name = "[unknown]"
		}
		return placesWithout(frames, place{
			LiveLocation: profile.LiveLocation{Mapping: profile.Mapping{File: name}, Frames: []profile.Frame{{Name: name}}}, jit: true,
		})
	}
	return n.placesOfFile(v.objects[index-firstFile], frames)
}

func (n *namer) placesOfFile(ob *object, frames []frame) []*place {
	if n.hurry.Load() {
		return placesWithout(frames, placeIn(profile.Mapping{File: ob.display()}, true))
	}
	index := n.indexes.take(ob.serial)
	if index == nil {
		file := ob.acquire()
		if file == nil {
			return n.placesIn(nil, ob.display(), frames, !ob.isBroken())
		}
		obj := parse(file.File)
		if obj == nil {
			ob.setBroken()
			file.release()
			return n.placesIn(nil, ob.display(), frames, false)
		}
		index = &heldIndex{object: obj, file: file}
	}
	defer n.indexes.give(ob.serial, index)
	return n.placesIn(index.object, ob.display(), frames, false)
}

// placesWithout returns a copy of like for each frame.
func placesWithout(frames []frame, like place) []*place {
	out := make([]*place, len(frames))
	for i, f := range frames {
		p := like
		p.Addr = f.offset()
		out[i] = &p
	}
	return out
}

// placeIn is a place without a name.
func placeIn(m profile.Mapping, unread bool) place {
	return place{LiveLocation: profile.LiveLocation{Mapping: m}, unread: unread}
}

// placesIn names frames of one object; obj is nil when it could not be read.
func (n *namer) placesIn(obj *symbolize.Object, name string, frames []frame, unread bool) []*place {
	if obj == nil {
		return placesWithout(frames, placeIn(profile.Mapping{File: name}, unread))
	}
	out := make([]*place, len(frames))
	for i, f := range frames {
		addr, ok := obj.Address(f.offset())
		if hurry := n.hurry.Load(); hurry || !ok {
			p := placeIn(profile.Mapping{File: name, BuildID: obj.BuildID()}, hurry)
			p.Addr = f.offset()
			out[i] = &p
			continue
		}
		p := &place{LiveLocation: profile.LiveLocation{Mapping: obj.Mapping(addr, name), Addr: addr, Frames: obj.Frames(addr)}}
		p.root = isRoot(p.Frames) || atEntry(obj.Entry(), addr)
		out[i] = p
	}
	return out
}

// parse reads the headers of an object file; nil if it is none: its frames keep their module and offset.
func parse(file *os.File) *symbolize.Object {
	info, err := file.Stat()
	if err != nil {
		return nil
	}
	obj, err := symbolize.NewObject(file, info.Size())
	if err != nil {
		return nil
	}
	return obj
}

// module is the short name of a frame's object, for markers.
func (v *view) module(f frame) string {
	switch f.index() {
	case kernelIndex:
		return profile.KernelMapping
	case jitIndex, gapIndex, unseenIndex:
		return profile.JITMapping
	case vdsoIndex:
		return profile.VDSOMapping
	case unknownIndex:
		return "[unknown]"
	}
	return path.Base(v.object(f).display())
}

// marker is the frame that roots an incomplete stack.
func (v *view) marker(end loader.End, last frame) string {
	switch end {
	case loader.EndComplete, loader.EndNoUser:
		return ""
	case loader.EndNoUnwindInfo:
		return "[no unwind info: " + strings.Trim(v.module(last), "[]") + "]"
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

package agent

import (
	"encoding/binary"
	"hash/maphash"
	"unsafe"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
)

// A frame is where one address lies, in 64 bits: a kernel address as it is (its upper
// 16 bits are set), else the number of the object and the offset in its file.
type frame uint64

const (
	offsetBits  = 48
	offsetMask  = 1<<offsetBits - 1
	kernelIndex = 0xffff
	maxObjects  = kernelIndex

	// Objects that are no files.
	unknownIndex = 0 // an address in no known mapping
	jitIndex     = 1 // anonymous memory
	vdsoIndex    = 2
	gapIndex     = 3 // frames left out of the middle of a deep stack
	unseenIndex  = 4 // no frame: what no sample tells the stack of
	wakerIndex   = 5 // begins a waker's frames: its name's number, and how its stack ended
	firstFile    = 6
)

func newFrame(index int, offset uint64) frame {
	return frame(uint64(index)<<offsetBits | offset&offsetMask)
}

func (f frame) index() int     { return int(f >> offsetBits) }
func (f frame) offset() uint64 { return uint64(f) & offsetMask }

// A node is one frame of a tree of stacks, whose root is node 0: stacks share the nodes of their common callers.
type node struct {
	parent uint32
	frame  frame
}

// A stack is where a distinct stack ends in the tree, and how.
type stack struct {
	leaf    uint32 // node
	end     loader.End
	certain bool // unwind information says that the outermost frame is the root
	skipped bool // frames are missing in the middle
}

// stacks holds each distinct stack once.
type stacks struct {
	nodes    []node
	children map[node]uint32
	ids      map[stack]uint32
	list     []stack
	indexes  []int  // of the objects of one sample's mappings, reused
	limit    int    // of nodes; 0: none
	full     bool   // the stack being added had no room
	dropped  uint64 // stacks that had no room: they are counted as one that is nothing but truncated
	// recent has the numbers of stacks by a hash of what a sample said, addresses and mappings: one look instead of one
	// for each frame. The seed is random, so that nobody can make two stacks look the same.
	recent map[uint64]uint32
	seed   maphash.Seed
}

// maxRecent bounds recent: 16 bytes each.
const maxRecent = 32 << 10

func newStacks() *stacks {
	return &stacks{
		nodes: make([]node, 1), children: map[node]uint32{}, ids: map[stack]uint32{},
		recent: map[uint64]uint32{}, seed: maphash.MakeSeed(),
	}
}

// add returns the number of s's stack.
func (t *stacks) add(s *loader.Sample, o *objects) uint32 {
	t.full = false
	t.touch(s, o)
	hash := t.hash(s)
	if id, ok := t.recent[hash]; ok {
		return id
	}
	id := t.enter(s)
	if len(t.recent) >= maxRecent {
		clear(t.recent)
	}
	t.recent[hash] = id
	return id
}

// touch finds the objects of a stack's mappings.
func (t *stacks) touch(s *loader.Sample, o *objects) {
	t.indexes = t.indexes[:0]
	for i := range s.VMAs {
		t.indexes = append(t.indexes, indexOf(&s.VMAs[i], s.PID, o))
	}
}

// hash is of everything in s that makes its stack.
func (t *stacks) hash(s *loader.Sample) uint64 {
	var h maphash.Hash
	h.SetSeed(t.seed)
	h.Write(bytesOf(s.User))
	h.Write(bytesOf(s.Kernel))
	var b [40]byte
	for i := range s.VMAs {
		v := &s.VMAs[i]
		binary.NativeEndian.PutUint64(b[0:], v.Start)
		binary.NativeEndian.PutUint64(b[8:], v.End)
		binary.NativeEndian.PutUint64(b[16:], v.Offset)
		binary.NativeEndian.PutUint64(b[24:], uint64(t.indexes[i]))
		h.Write(b[:32])
	}
	binary.NativeEndian.PutUint64(b[0:], uint64(len(s.User)))
	binary.NativeEndian.PutUint64(b[8:], uint64(len(s.Kernel)))
	b[16], b[17], b[18] = byte(s.End), 0, 0
	if s.Certain {
		b[17] = 1
	}
	if s.Skipped > 0 {
		b[18] = 1
	}
	h.Write(b[:19])
	return h.Sum64()
}

// bytesOf is the memory of words.
func bytesOf(words []uint64) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), len(words)*8)
}

// enter walks s into the tree and returns the number of its stack.
func (t *stacks) enter(s *loader.Sample) uint32 { return t.number(t.walk(s), s) }

// walk enters the frames of s and returns the leaf's node.
func (t *stacks) walk(s *loader.Sample) (at uint32) {
	for i := len(s.User) - 1; i >= 0; i-- {
		if i == s.Gap()-1 && s.Skipped > 0 {
			at = t.child(at, newFrame(gapIndex, 0))
		}
		at = t.child(at, t.locate(s.User[i], s.VMAs))
	}
	for i := len(s.Kernel) - 1; i >= 0; i-- {
		at = t.child(at, frame(callSite(s.Kernel[i], i)))
	}
	return at
}

// number is of the stack that ends at a node, as s does.
func (t *stacks) number(at uint32, s *loader.Sample) uint32 {
	st := stack{at, s.End, s.Certain, s.Skipped > 0}
	if t.full {
		st = stack{end: loader.EndTruncated}
		t.dropped++
	}
	id, ok := t.ids[st]
	if !ok {
		id = uint32(len(t.list))
		t.list = append(t.list, st)
		t.ids[st] = id
	}
	return id
}

// unseen returns the number of the stack of what no sample tells the stack of.
func (t *stacks) unseen() uint32 {
	st := stack{leaf: t.child(0, newFrame(unseenIndex, 0)), certain: true}
	id, ok := t.ids[st]
	if !ok {
		id = uint32(len(t.list))
		t.list = append(t.list, st)
		t.ids[st] = id
	}
	return id
}

func (t *stacks) child(parent uint32, f frame) uint32 {
	n := node{parent, f}
	id, ok := t.children[n]
	if !ok {
		if t.limit > 0 && len(t.nodes) >= t.limit {
			t.full = true
			return parent
		}
		id = uint32(len(t.nodes))
		t.nodes = append(t.nodes, n)
		t.children[n] = id
	}
	return id
}

// callSite turns a kernel's return address into an address within the call. The leaf is exact already.
func callSite(addr uint64, depth int) uint64 {
	if depth > 0 {
		addr--
	}
	return addr
}

func indexOf(v *loader.VMA, pid int, o *objects) int {
	switch v.Kind {
	case loader.VMAFile:
		return o.touch(v, pid)
	case loader.VMAVDSO:
		return vdsoIndex
	}
	return jitIndex
}

func (t *stacks) locate(addr uint64, vmas []loader.VMA) frame {
	for i := range vmas {
		v := &vmas[i]
		if addr < v.Start || addr >= v.End {
			continue
		}
		switch index := t.indexes[i]; index {
		case jitIndex:
			return newFrame(jitIndex, 0)
		case vdsoIndex:
			return newFrame(vdsoIndex, addr-v.Start)
		default:
			return newFrame(index, addr-v.Start+v.Offset)
		}
	}
	return newFrame(unknownIndex, addr)
}

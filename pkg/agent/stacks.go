package agent

import (
	"encoding/binary"

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
	firstFile    = 3
)

func newFrame(index int, offset uint64) frame {
	return frame(uint64(index)<<offsetBits | offset&offsetMask)
}

func (f frame) index() int     { return int(f >> offsetBits) }
func (f frame) offset() uint64 { return uint64(f) & offsetMask }
func (f frame) isKernel() bool { return f.index() == kernelIndex }

// A stack is the frames of a distinct stack, leaf first, kernel before user.
type stack struct {
	frames []frame
	end    loader.End
}

// stacks holds each distinct stack once.
type stacks struct {
	ids  map[string]uint32
	list []stack
	key  []byte // reused
	buf  []frame
}

func newStacks() *stacks { return &stacks{ids: map[string]uint32{}} }

// add returns the number of s's stack.
func (t *stacks) add(s *loader.Sample, o *objects) uint32 {
	t.buf = t.buf[:0]
	for i, addr := range s.Kernel {
		t.buf = append(t.buf, frame(callSite(addr, i)))
	}
	for i, addr := range s.User {
		t.buf = append(t.buf, locate(callSite(addr, i), s.VMAs, o))
	}
	t.key = append(t.key[:0], byte(s.End))
	for _, f := range t.buf {
		t.key = binary.NativeEndian.AppendUint64(t.key, uint64(f))
	}
	if id, ok := t.ids[string(t.key)]; ok {
		return id
	}
	id := uint32(len(t.list))
	t.list = append(t.list, stack{frames: append([]frame(nil), t.buf...), end: s.End})
	t.ids[string(t.key)] = id
	return id
}

// callSite turns a return address into an address within the call. The leaf is exact already.
func callSite(addr uint64, depth int) uint64 {
	if depth > 0 {
		addr--
	}
	return addr
}

func locate(addr uint64, vmas []loader.VMA, o *objects) frame {
	for i := range vmas {
		v := &vmas[i]
		if addr < v.Start || addr >= v.End {
			continue
		}
		switch v.Kind {
		case loader.VMAFile:
			return newFrame(o.index(v.File), addr-v.Start+v.Offset)
		case loader.VMAVDSO:
			return newFrame(vdsoIndex, addr-v.Start)
		default:
			return newFrame(jitIndex, 0)
		}
	}
	return newFrame(unknownIndex, addr)
}

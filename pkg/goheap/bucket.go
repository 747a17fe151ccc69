package goheap

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Types of buckets (runtime/mprof.go).
const (
	typeMemory = 1 + iota
	typeBlock
	typeMutex
)

const (
	// bucketHeader is next, allnext, typ, hash, size, nstk; then come the stack and
	// the record: a memRecord of 16 words, or a blockRecord of two.
	bucketHeader = 6 * 8
	// maxDepth is the runtime's maxProfStackDepth; bucket.stk throws above it.
	maxDepth = 1024
	// maxBuckets bounds a list. Real ones have hundreds to some ten thousand.
	maxBuckets = 1 << 18
)

// A bucket is a runtime.bucket without its record. The runtime never changes it.
type bucket struct {
	record uint64   // address of the record
	size   uint64   // of the objects, 0 in block and mutex profiles
	stack  []uint64 // addresses in the process, leaf first
}

// walk returns the buckets of a list from its head on. Any sign that the layout is
// not the known one, or that the list is broken, is an error.
func walk(m *memory, head, typ uint64) ([]bucket, error) {
	var out []bucket
	var pcs []uint64 // stacks are slices of it, and of those before it
	scratch := make([]byte, maxDepth*8)
	// Brent's way to notice a loop: a mark that is moved up at every power of two.
	mark, power, steps := uint64(0), 1, 0
	for addr := head; addr != 0; {
		if addr == mark {
			return nil, unsupported("the list of buckets at %#x has a loop", head)
		}
		if steps++; steps == power {
			mark, power, steps = addr, power*2, 0
		}
		if len(out) >= maxBuckets {
			return nil, fmt.Errorf("%w: more than %d buckets", errTooLarge, maxBuckets)
		}
		if addr%8 != 0 || addr >= 1<<62 {
			return nil, unsupported("bucket %d at %#x: not the address of one", len(out), addr)
		}
		h, err := m.view(addr, bucketHeader, scratch)
		if err != nil {
			return nil, fmt.Errorf("bucket %d of %d: %w", len(out), typ, err)
		}
		word := func(i int) uint64 { return binary.LittleEndian.Uint64(h[8*i:]) }
		next, gotType, hash, size, depth := word(1), word(2), word(3), word(4), word(5)
		if gotType != typ || depth > maxDepth {
			return nil, unsupported("bucket %d at %#x has type %d and depth %d: laid out differently", len(out), addr, gotType, depth)
		}
		b := bucket{record: addr + bucketHeader + 8*depth, size: size}
		raw, err := m.view(addr+bucketHeader, 8*int(depth), scratch)
		if err != nil {
			return nil, fmt.Errorf("stack of bucket %d: %w", len(out), err)
		}
		if len(pcs)+int(depth) > cap(pcs) {
			pcs = make([]uint64, 0, 4*maxDepth)
		}
		start := len(pcs)
		for ; len(raw) > 0; raw = raw[8:] {
			pcs = append(pcs, binary.LittleEndian.Uint64(raw))
		}
		b.stack = pcs[start:len(pcs):len(pcs)]
		if stackHash(b.stack, size) != hash {
			return nil, unsupported("bucket %d at %#x: its hash does not agree: laid out differently", len(out), addr)
		}
		out = append(out, b)
		addr = next
	}
	return out, nil
}

// stackHash is the hash of runtime.stkbucket.
func stackHash(stack []uint64, size uint64) uint64 {
	var h uint64
	step := func(v uint64) {
		h += v
		h += h << 10
		h ^= h >> 6
	}
	for _, pc := range stack {
		step(pc)
	}
	step(size)
	h += h << 3
	h ^= h >> 11
	return h
}

// A cycle is a runtime.memRecordCycle: what was sampled, not scaled.
type cycle struct{ allocs, frees, allocBytes, freeBytes uint64 }

func (c *cycle) add(d cycle) {
	c.allocs += d.allocs
	c.frees += d.frees
	c.allocBytes += d.allocBytes
	c.freeBytes += d.freeBytes
}

// memRecord is a runtime.memRecord: active, then the three future cycles.
type memRecord [4]cycle

// memRecord reads the record of a bucket of memory.
func (b *bucket) memRecord(m *memory) (r memRecord, err error) {
	var scratch [4 * 4 * 8]byte
	raw, err := m.view(b.record, len(scratch), scratch[:])
	if err != nil {
		return r, fmt.Errorf("record: %w", err)
	}
	word := func(i int) uint64 { return binary.LittleEndian.Uint64(raw[8*i:]) }
	for i := range r {
		r[i] = cycle{word(4 * i), word(4*i + 1), word(4*i + 2), word(4*i + 3)}
	}
	return r, nil
}

// plausible tells whether the counts and bytes of a record agree: every object of a
// bucket has its size. The runtime adds to the two one after the other.
func (b *bucket) plausible(r *memRecord) bool {
	for _, c := range r {
		if !agree(c.allocs, c.allocBytes, b.size) || !agree(c.frees, c.freeBytes, b.size) {
			return false
		}
	}
	return true
}

const (
	maxObjects    = 1 << 40 // sampled, of one stack: a thousand years' worth
	maxObjectSize = 1 << 47 // the address space
)

// agree allows for one object that is counted but whose bytes are not added yet.
// The runtime's sums are exact modulo 2^64.
func agree(count, bytes, size uint64) bool {
	return count <= maxObjects && size <= maxObjectSize && bytes <= math.MaxInt64 &&
		(bytes == count*size || bytes == count*size-size)
}

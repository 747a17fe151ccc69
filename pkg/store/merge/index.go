package merge

import (
	"hash/maphash"
	"math/bits"
)

// An index finds the number of a thing by the hash of its content. It probes linearly and is at most half full.
type index struct {
	slots []slot
	used  int
}

type slot struct {
	hash uint32
	id   uint32 // plus one; 0 is free
}

// find returns the number for which equal holds, among those that were inserted with this hash.
func (x *index) find(hash uint64, equal func(id uint32) bool) (uint32, bool) {
	if len(x.slots) == 0 {
		return 0, false
	}
	mask := uint32(len(x.slots) - 1)
	h := uint32(hash)
	for i := h & mask; x.slots[i].id != 0; i = (i + 1) & mask {
		if s := x.slots[i]; s.hash == h && equal(s.id-1) {
			return s.id - 1, true
		}
	}
	return 0, false
}

// insert enters a number that find did not find.
func (x *index) insert(hash uint64, id uint32) {
	if 2*(x.used+1) > len(x.slots) {
		old := x.slots
		x.slots = make([]slot, max(256, 4*len(old)))
		for _, s := range old {
			if s.id != 0 {
				x.put(s)
			}
		}
	}
	x.put(slot{hash: uint32(hash), id: id + 1})
	x.used++
}

func (x *index) put(s slot) {
	mask := uint32(len(x.slots) - 1)
	i := s.hash & mask
	for x.slots[i].id != 0 {
		i = (i + 1) & mask
	}
	x.slots[i] = s
}

// newSeed makes the hashes of every Merger others: stacks come from programs that nobody vouches for.
func newSeed() uint64 { return maphash.Comparable(maphash.MakeSeed(), 0) }

// mix adds x to a hash.
func mix(hash, x uint64) uint64 {
	hi, lo := bits.Mul64(hash^x, 0x9e3779b97f4a7c15)
	return hi ^ lo ^ hash>>7
}

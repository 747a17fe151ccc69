package goheap

import (
	"encoding/binary"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// A stackChange is by how much what the runtime knows of a stack has changed.
type stackChange struct {
	stack  []uint64
	values [4]int64 // as those of HeapRecord.Scaled
}

// changes subtracts an earlier reading of the same process, stack by stack. The runtime
// never forgets a stack, so that all of before are in h; of those that are torn, which a
// reading that is not settled may have, allocations are at least not fewer than before.
func (h *Heap) changes(before *Heap) []stackChange {
	var list []stackChange
	at := map[string]int{}
	var key []byte
	add := func(r *HeapRecord, rate, sign int64) {
		values := r.Scaled(rate)
		if values == [4]int64{} {
			return
		}
		key = key[:0]
		for _, pc := range r.Stack {
			key = binary.NativeEndian.AppendUint64(key, pc)
		}
		i, ok := at[string(key)]
		if !ok {
			i = len(list)
			list = append(list, stackChange{stack: r.Stack})
			at[string(key)] = i
		}
		for v := range values {
			list[i].values[v] += sign * values[v]
		}
	}
	for i := range h.Records {
		add(&h.Records[i], h.Rate, 1)
	}
	for i := range before.Records {
		add(&before.Records[i], before.Rate, -1)
	}
	for i := range list {
		list[i].values[0], list[i].values[1] = max(list[i].values[0], 0), max(list[i].values[1], 0)
	}
	return list
}

// AddChangeTo adds to a builder of HeapOptions what has changed since an earlier reading
// of the same process: what was allocated between the two, and by how much what is in
// use has grown, which may be negative.
func (h *Heap) AddChangeTo(b *profile.Builder, program Program, labels profile.Labels, before *Heap) {
	s := newStacks(b, program, h.Depth, labels)
	for _, c := range h.changes(before) {
		if c.values == [4]int64{} {
			continue
		}
		s.add(s.withoutRuntime(c.stack), len(c.stack), c.values[:]...)
	}
}

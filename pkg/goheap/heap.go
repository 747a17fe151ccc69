package goheap

import (
	"fmt"
	"slices"
	"time"
)

// maxPasses bounds how often a list is read until two readings agree.
const maxPasses = 8

// wrap is how many cycles there are before the runtime counts anew (mProfCycleWrap).
const wrap = 3 * (2 << 24)

// Stats says how a profile was read.
type Stats struct {
	Duration time.Duration
	Reads    int   // system calls
	Bytes    int64 // read from the process
	Buckets  int
	Passes   int // over the records
	// Settled tells that two readings agreed, so that all records are of one moment.
	// Else each record is, but records may be as far apart as the reading took.
	Settled bool
	// Live tells that no garbage collection has happened yet: then the runtime
	// publishes what it counts as it counts it, and there is no moment to be of.
	Live bool
}

// A HeapRecord is what the runtime knows of one stack and size of object. Counts are
// of sampled objects, not scaled.
type HeapRecord struct {
	// Stack holds return addresses, leaf first, as ELF virtual addresses of the
	// program's file; those of other files are not in the program's range.
	Stack                     []uint64
	AllocObjects, FreeObjects int64
	AllocBytes, FreeBytes     int64
}

// A Heap is a memory profile: the one that runtime.MemProfile(p, true) would return.
type Heap struct {
	// Rate is runtime.MemProfileRate: one object is sampled per so many bytes.
	Rate    int64
	Depth   int // frames that a stack has at most
	Records []HeapRecord
	Stats
}

// readHeap reads the list at mbuckets until two readings of what is published agree.
func readHeap(m *memory, at func(variable) uint64) ([]bucket, []cycle, Stats, error) {
	begin := time.Now()
	var st Stats
	var buckets []bucket
	var values []cycle
	for again := true; again; {
		m.forget()
		now, err := readCycle(m, at)
		if err != nil {
			return nil, nil, st, err
		}
		head, err := m.u64(at(mbuckets))
		if err != nil {
			return nil, nil, st, err
		}
		if buckets, err = walk(m, head, typeMemory); err != nil {
			return nil, nil, st, err
		}
		if values, again, err = settle(m, at, buckets, now, &st); err != nil {
			return nil, nil, st, err
		}
	}
	st.Duration, st.Reads, st.Bytes, st.Buckets = time.Since(begin), m.reads, m.bytes, len(buckets)
	return buckets, values, st, nil
}

// settle reads the records of buckets until two readings agree, or so often that it is
// enough. again tells that there was a collection: it may have published buckets that
// are not among these.
func settle(m *memory, at func(variable) uint64, buckets []bucket, now uint32, st *Stats) (values []cycle, again bool, err error) {
	values, live, err := published(m, buckets, now)
	if err != nil {
		return nil, false, err
	}
	st.Passes++
	for {
		if err := m.refresh(); err != nil {
			return nil, false, err
		}
		next, nextLive, err := published(m, buckets, now)
		if err != nil {
			return nil, false, err
		}
		after, err := readCycle(m, at)
		if err != nil {
			return nil, false, err
		}
		st.Settled = after == now && live == nextLive && slices.Equal(values, next)
		values, live, st.Live = next, nextLive, nextLive
		switch {
		case st.Settled, st.Passes >= maxPasses, after == now && live:
			return values, false, nil
		case after != now:
			return values, true, nil
		}
		st.Passes++
	}
}

// readCycle reads mProfCycle without its flag. Whether the current cycle was flushed
// already need not be known: what was, is zero in future.
func readCycle(m *memory, at func(variable) uint64) (uint32, error) {
	v, err := m.u32(at(mProfCycle))
	if err != nil {
		return 0, err
	}
	if v>>1 >= wrap {
		return 0, unsupported("cycle %d of memory profiles: laid out differently", v>>1)
	}
	return v >> 1, nil
}

// published returns what the runtime would publish of each bucket in a cycle
// (memProfileInternal): active, and the future cycle that is due. If that is nothing
// at all, no garbage collection has happened, and all of future is.
func published(m *memory, buckets []bucket, now uint32) (values []cycle, live bool, err error) {
	values = make([]cycle, len(buckets))
	live = true
	wrong := 0
	due := now % 3
	for i := range buckets {
		r, err := buckets[i].memRecord(m)
		if err != nil {
			return nil, false, err
		}
		if !buckets[i].plausible(&r) {
			wrong++
		}
		values[i] = r[0]
		values[i].add(r[1+due])
		live = live && values[i].allocs == 0 && values[i].frees == 0
	}
	// Single ones may be torn.
	if wrong > 1+len(buckets)/100 {
		return nil, false, unsupported("%d of %d records have bytes that are not their objects': laid out differently", wrong, len(buckets))
	}
	if !live {
		return values, false, nil
	}
	for i := range buckets {
		r, err := buckets[i].memRecord(m)
		if err != nil {
			return nil, false, err
		}
		values[i].add(r[1+(due+1)%3])
		values[i].add(r[1+(due+2)%3])
	}
	return values, true, nil
}

// records turns published values into records with addresses of the file. Impossible
// values, which only a torn record has, are cut to possible ones.
func records(buckets []bucket, values []cycle, bias uint64) []HeapRecord {
	out := make([]HeapRecord, len(buckets))
	for i, b := range buckets {
		v := values[i]
		out[i] = HeapRecord{
			Stack:        unbiased(b.stack, bias),
			AllocObjects: int64(v.allocs), AllocBytes: int64(v.allocBytes),
			FreeObjects: int64(min(v.frees, v.allocs)), FreeBytes: int64(min(v.freeBytes, v.allocBytes)),
		}
	}
	return out
}

// unbiased subtracts the bias from a stack in place.
func unbiased(stack []uint64, bias uint64) []uint64 {
	for i := range stack {
		stack[i] -= bias
	}
	return stack
}

// String says in one line how the profile was read, for a log or a comment.
func (s Stats) String() string {
	how := "of one moment"
	switch {
	case s.Live:
		how = "before the first garbage collection, as counted"
	case !s.Settled:
		how = "records up to the time of reading apart"
	}
	return fmt.Sprintf("%d buckets read from outside in %v, %d reads, %d passes, %s",
		s.Buckets, s.Duration.Round(time.Microsecond), s.Reads, s.Passes, how)
}

package goheap

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// base is where a test's memory begins; below is nothing.
const base = 0x10000

// An image is the memory of a process that a test lays out: variables, then buckets.
type image struct {
	data  []byte
	reads int
	// before is called before each read, to change what is read.
	before func(read int)
}

func (m *image) ReadAt(b []byte, off int64) (int, error) {
	if m.before != nil {
		m.before(m.reads)
	}
	m.reads++
	if off < base || off-base >= int64(len(m.data)) {
		return 0, unix.EIO
	}
	n := copy(b, m.data[off-base:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// newImage has room for the variables, at 8 bytes for each.
func newImage() *image { return &image{data: make([]byte, 8*numVariables)} }

func (m *image) at(v variable) uint64 { return base + 8*uint64(v) }

func (m *image) set(addr uint64, words ...uint64) {
	for i, w := range words {
		binary.LittleEndian.PutUint64(m.data[addr-base+8*uint64(i):], w)
	}
}

func (m *image) get(addr uint64) uint64 { return binary.LittleEndian.Uint64(m.data[addr-base:]) }

// push adds a bucket at the head of a list, as stkbucket does, and returns the
// address of its record.
func (m *image) push(list variable, typ, size uint64, stack []uint64, record ...uint64) uint64 {
	addr := base + uint64(len(m.data))
	words := append([]uint64{0, m.get(m.at(list)), typ, stackHash(stack, size), size, uint64(len(stack))}, stack...)
	words = append(words, record...)
	m.data = append(m.data, make([]byte, 8*len(words))...)
	m.set(addr, words...)
	m.set(m.at(list), addr)
	return addr + 8*uint64(6+len(stack))
}

// memory adds a bucket of objects of size with counts of allocations and frees,
// active and future.
func (m *image) memory(size uint64, stack []uint64, allocs, frees [4]uint64) uint64 {
	var record []uint64
	for i := range allocs {
		record = append(record, allocs[i], frees[i], allocs[i]*size, frees[i]*size)
	}
	return m.push(mbuckets, typeMemory, size, stack, record...)
}

func (m *image) heap() ([]HeapRecord, Stats, error) {
	buckets, values, stats, err := readHeap(newMemory(m), m.at)
	if err != nil {
		return nil, stats, err
	}
	return records(buckets, values, 0), stats, nil
}

// TestPublished: active and the cycle that is due, whether it was flushed or not;
// everything before the first collection (memProfileInternal).
func TestPublished(t *testing.T) {
	for name, c := range map[string]struct {
		cycle         uint64 // with the flag
		allocs, frees [4]uint64
		want          [2]int64
		live          bool
	}{
		"due":              {7 << 1, [4]uint64{10, 1, 20, 300}, [4]uint64{5, 1, 2, 3}, [2]int64{30, 7}, false},
		"flushed":          {7<<1 | 1, [4]uint64{30, 1, 0, 300}, [4]uint64{7, 1, 0, 3}, [2]int64{30, 7}, false},
		"flush in between": {7<<1 | 1, [4]uint64{10, 1, 20, 300}, [4]uint64{5, 1, 2, 3}, [2]int64{30, 7}, false},
		"wrapped":          {(wrap - 1) << 1, [4]uint64{10, 1, 20, 300}, [4]uint64{5, 1, 2, 3}, [2]int64{310, 8}, false},
		"before any":       {0, [4]uint64{0, 0, 20, 300}, [4]uint64{0, 0, 2, 3}, [2]int64{320, 5}, true},
		"only frees torn":  {0, [4]uint64{1, 0, 0, 0}, [4]uint64{3, 0, 0, 0}, [2]int64{1, 1}, false},
	} {
		m := newImage()
		m.memory(48, []uint64{1, 2, 3}, c.allocs, c.frees)
		m.set(m.at(mProfCycle), c.cycle)
		got, stats, err := m.heap()
		if err != nil {
			t.Fatal(name, err)
		}
		r := got[0]
		if len(got) != 1 || r.AllocObjects != c.want[0] || r.FreeObjects != c.want[1] || r.AllocBytes != 48*c.want[0] ||
			r.FreeBytes != 48*c.want[1] || !slices.Equal(r.Stack, []uint64{1, 2, 3}) || stats.Live != c.live || !stats.Settled {
			t.Errorf("%s: %+v, %+v", name, got, stats)
		}
	}
}

// TestTorn: a flush and a collection while the list is read are noticed, and what is
// returned is of one moment.
func TestTorn(t *testing.T) {
	build := func() (*image, []uint64) {
		m := newImage()
		var records []uint64
		for i := range uint64(500) { // 100 KB: several blocks
			records = append(records, m.memory(64, []uint64{i, i + 1}, [4]uint64{10, 0, 5, 7}, [4]uint64{}))
		}
		m.set(m.at(mProfCycle), 1<<1)
		return m, records
	}
	flush := func(m *image, record uint64, index uint64) {
		future := record + 32*(1+index)
		for i := range uint64(4) {
			m.set(record+8*i, m.get(record+8*i)+m.get(future+8*i))
			m.set(future+8*i, 0)
		}
	}
	total := func(got []HeapRecord) (n int64) {
		for _, r := range got {
			n += r.AllocObjects
		}
		return n
	}

	// The flush of the cycle that is due changes nothing, however far it is.
	for stop := range 12 {
		m, records := build()
		m.before = func(read int) {
			if read == stop {
				m.set(m.at(mProfCycle), 1<<1|1)
			}
			for _, r := range records[:max(0, min(500, 100*(read-stop)))] {
				flush(m, r, 1)
			}
		}
		got, stats, err := m.heap()
		if err != nil || total(got) != 15*500 || !stats.Settled {
			t.Errorf("flush from read %d on: %d objects, %v, %v", stop, total(got), stats, err)
		}
	}
	// A collection publishes the next one: before or after, nothing in between.
	for stop := range 24 {
		m, records := build()
		m.before = func(read int) {
			if read == stop {
				for _, r := range records {
					flush(m, r, 1)
				}
				m.set(m.at(mProfCycle), 2<<1)
			}
		}
		got, stats, err := m.heap()
		if n := total(got); err != nil || (n != 15*500 && n != 22*500) || !stats.Settled {
			t.Errorf("collection at read %d: %d objects, %v, %v", stop, n, stats, err)
		}
	}
	// Collections without end: an answer nevertheless, and it says what it is.
	m, _ := build()
	m.before = func(read int) { m.set(m.at(mProfCycle), uint64(read)<<1) }
	if got, stats, err := m.heap(); err != nil || len(got) != 500 || stats.Settled || stats.Passes != maxPasses {
		t.Errorf("%d records, %+v, %v", len(got), stats, err)
	}
}

// TestRefused: what is not laid out as expected, with the reason.
func TestRefused(t *testing.T) {
	stack := []uint64{1, 2, 3}
	for name, c := range map[string]struct {
		spoil func(m *image, record uint64)
		want  string
	}{
		"head not mapped":   {func(m *image, _ uint64) { m.set(m.at(mbuckets), 0x7f0000000000) }, "input/output error"},
		"head of kernel":    {func(m *image, _ uint64) { m.set(m.at(mbuckets), 1<<63) }, "not the address"},
		"head odd":          {func(m *image, _ uint64) { m.set(m.at(mbuckets), base+1) }, "not the address"},
		"loop of one":       {func(m *image, r uint64) { m.set(r-8*(3+5), r-8*(3+6)) }, "loop"},
		"type":              {func(m *image, r uint64) { m.set(r-8*(3+4), 2) }, "type 2"},
		"depth":             {func(m *image, r uint64) { m.set(r-8*(3+1), 1<<40) }, "depth"},
		"end of memory":     {func(m *image, r uint64) { m.set(r-8*(3+1), maxDepth) }, "bad address"},
		"hash":              {func(m *image, r uint64) { m.set(r-8, 77) }, "hash"},
		"size":              {func(m *image, r uint64) { m.set(r-8*(3+2), 47) }, "hash"},
		"cycle":             {func(m *image, _ uint64) { m.set(m.at(mProfCycle), wrap<<1) }, "cycle"},
		"bytes not objects": {func(m *image, r uint64) { m.set(r+16, 1<<40); m.set(r+32+16, 5) }, "bytes that are not"},
	} {
		m := newImage()
		records := []uint64{m.memory(48, stack, [4]uint64{9, 1, 1, 1}, [4]uint64{}), m.memory(48, []uint64{5, 6, 7}, [4]uint64{9, 1, 1, 1}, [4]uint64{})}
		if name == "bytes not objects" {
			c.spoil(m, records[0])
		}
		c.spoil(m, records[1])
		got, _, err := m.heap()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v; want %q", name, got, err, c.want)
		}
		if kernel := errors.Is(err, unix.EIO) || errors.Is(err, unix.EFAULT); err != nil && !kernel && !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %v is no ErrUnsupported", name, err)
		}
	}
	// A long loop ends as well.
	m := newImage()
	first := m.memory(48, stack, [4]uint64{}, [4]uint64{})
	for i := range uint64(1000) {
		m.memory(48, []uint64{i, i, i}, [4]uint64{}, [4]uint64{})
	}
	m.set(first-8*(3+5), m.get(m.at(mbuckets)))
	if _, _, err := m.heap(); err == nil || !strings.Contains(err.Error(), "loop") {
		t.Errorf("long loop: %v", err)
	}
}

func TestScale(t *testing.T) {
	const rate = 512 << 10
	for _, c := range []struct{ count, size, rate, objects, bytes int64 }{
		{0, 0, rate, 0, 0},
		{-1, -16, rate, 0, 0},
		{10, 160, 1, 10, 160},
		{10, 160, 0, 10, 160},
		{1, 16, rate, 32768, 524296},                        // 1/(1-exp(-16/524288)) = 32768.5
		{3, 3 << 20, rate, 3, 3638089},                      // 1/(1-exp(-2)) = 1.15652
		{1, 1, math.MaxInt64, math.MaxInt64, math.MaxInt64}, // cut
	} {
		objects, bytes := scale(c.count, c.size, c.rate)
		if c.rate == math.MaxInt64 {
			if objects <= 0 || bytes <= 0 {
				t.Errorf("%+v: %d, %d", c, objects, bytes)
			}
			continue
		}
		if objects != c.objects || bytes != c.bytes {
			t.Errorf("%+v: %d, %d", c, objects, bytes)
		}
	}
}

// TestHoles: blocks of which a part is not mapped are read as far as they are.
func TestHoles(t *testing.T) {
	m := newMemory(holes{})
	var b [8]byte
	if err := m.copy(b[:], 3*smallRead); err != nil || b != [8]byte{1, 1, 1, 1, 1, 1, 1, 1} {
		t.Errorf("last page of a block: %v, %v", b, err)
	}
	if err := m.copy(b[:], blockSize-4); err == nil {
		t.Error("read across the end of what is mapped")
	}
	if err := m.copy(b[:], math.MaxUint64-3); err == nil {
		t.Error("read at the end of the address space")
	}
}

// holes is one mapped page at 3 * smallRead.
type holes struct{}

func (holes) ReadAt(b []byte, off int64) (int, error) {
	if off < 3*smallRead || off >= 4*smallRead {
		return 0, unix.EIO
	}
	n := min(len(b), int(4*smallRead-off))
	for i := range n {
		b[i] = 1
	}
	return n, nil
}

// rehash gives the first buckets of a list the hashes that they should have, so that
// what comes after that check is reached as well.
func (m *image) rehash(list variable) {
	inside := func(addr, words uint64) bool {
		return addr%8 == 0 && addr >= base && words < uint64(len(m.data)) && addr-base+8*words <= uint64(len(m.data))
	}
	addr := m.get(m.at(list))
	for n := 0; n < 16 && inside(addr, 6); n++ {
		depth := m.get(addr + 8*5)
		if !inside(addr, 6+depth) {
			return
		}
		stack := make([]uint64, depth)
		for i := range stack {
			stack[i] = m.get(addr + 8*uint64(6+i))
		}
		m.set(addr+8*3, stackHash(stack, m.get(addr+8*4)))
		addr = m.get(addr + 8)
	}
}

// FuzzBuckets: any memory gives an answer or an error, in bounds.
func FuzzBuckets(f *testing.F) {
	m := newImage()
	m.memory(48, []uint64{1, 2, 3}, [4]uint64{9, 1, 2, 3}, [4]uint64{4, 0, 0, 1})
	m.memory(16, []uint64{1}, [4]uint64{9, 1, 2, 3}, [4]uint64{4, 0, 0, 1})
	m.push(bbuckets, typeBlock, 0, []uint64{7, 8}, math.Float64bits(2.5), 1000)
	m.push(xbuckets, typeMutex, 0, []uint64{7, 9}, math.Float64bits(1), 500)
	m.set(m.at(memProfileRate), 512<<10)
	f.Add(m.data, false)
	f.Add(m.data, true)
	f.Fuzz(func(t *testing.T, data []byte, rehash bool) {
		if len(data) < 8*int(numVariables) || len(data) > 1<<20 {
			return
		}
		m := &image{data: slices.Clone(data)}
		if rehash {
			for _, list := range []variable{mbuckets, bbuckets, xbuckets} {
				m.rehash(list)
			}
		}
		got, stats, err := m.heap()
		if err == nil && len(got) != stats.Buckets {
			t.Errorf("%d records of %d buckets", len(got), stats.Buckets)
		}
		for _, r := range got {
			v := r.Scaled(int64(m.get(m.at(memProfileRate))))
			if len(r.Stack) > maxDepth || slices.Min(v[:]) < 0 {
				t.Errorf("%+v, scaled %v", r, v)
			}
		}
		for typ, list := range map[uint64]variable{typeBlock: bbuckets, typeMutex: xbuckets} {
			mem := newMemory(m)
			buckets, err := walk(mem, m.get(m.at(list)), typ)
			if err != nil {
				continue
			}
			for i := range buckets {
				if r, err := buckets[i].blockRecord(mem, typ); err == nil && (r.Count < 0 || r.Ticks < 0) {
					t.Errorf("%+v", r)
				}
			}
		}
	})
}

// FuzzCode: any code gives references or none.
func FuzzCode(f *testing.F) {
	f.Add([]byte{0x48, 0x8b, 0x0d, 0x11, 0xcd, 0x4d, 0x00}, true)
	f.Add([]byte{0xf0, 0x00, 0x2b, 0x42, 0x91, 0x35, 0xa0, 0x42}, false)
	f.Fuzz(func(t *testing.T, code []byte, amd64 bool) {
		if amd64 {
			refsAMD64(code, 0x400000)
		} else {
			refsARM64(code, 0x400000)
		}
	})
}

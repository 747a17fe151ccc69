package goheap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"golang.org/x/sys/unix"
)

const (
	// blockSize is what is read at a time. The runtime carves buckets, one after the
	// other, out of chunks of 256 KiB (runtime/malloc.go persistentChunkSize).
	blockSize = 16 << 10
	// readAhead is how many blocks are read at once where a list goes on: that costs
	// two thirds of reading them one by one.
	readAhead = 4
	// manyExtents is how many are read before there is a list worth reading ahead of.
	manyExtents = 16
	// smallRead is for a block of which a part is not mapped.
	smallRead = 4 << 10
	// maxBlocks bounds the memory that one read holds: 128 MiB, for a list of
	// 100,000 deep stacks.
	maxBlocks = 8 << 10
)

var errTooLarge = errors.New("the profile is larger than is read")

// A memory is the address space of a process (or a test's), read in extents that are
// kept until refresh or forget. Not safe for concurrent use.
type memory struct {
	r       io.ReaderAt
	index   map[uint64]*extent // by each block's address
	extents []*extent
	last    *extent

	reads int   // system calls
	bytes int64 // read
}

// An extent is one block, or readAhead blocks.
type extent struct {
	base uint64
	data []byte
}

func newMemory(r io.ReaderAt) *memory { return &memory{r: r, index: map[uint64]*extent{}} }

// readAt reads without keeping: what is read twice may differ.
func (m *memory) readAt(b []byte, addr uint64) error {
	if addr>>63 != 0 {
		return fmt.Errorf("read memory at %#x: not an address of a program", addr)
	}
	n, err := m.read(b, addr)
	switch {
	case n == len(b):
		return nil
	case err == nil || errors.Is(err, io.EOF) || errors.Is(err, fs.ErrClosed) || errors.Is(err, unix.ESRCH):
		return fmt.Errorf("read memory at %#x: %w", addr, ErrGone)
	}
	return fmt.Errorf("read memory at %#x: %w", addr, err)
}

func (m *memory) u32(addr uint64) (uint32, error) {
	var b [4]byte
	err := m.readAt(b[:], addr)
	return binary.LittleEndian.Uint32(b[:]), err
}

func (m *memory) u64(addr uint64) (uint64, error) {
	var b [8]byte
	err := m.readAt(b[:], addr)
	return binary.LittleEndian.Uint64(b[:]), err
}

// view returns n bytes at addr, which are valid until refresh or forget: part of an
// extent, else a copy in scratch, which has room for n.
func (m *memory) view(addr uint64, n int, scratch []byte) ([]byte, error) {
	if e := m.last; e != nil && addr-e.base < uint64(len(e.data)) && uint64(n) <= uint64(len(e.data))-(addr-e.base) {
		return e.data[addr-e.base:][:n], nil
	}
	return scratch[:n], m.copy(scratch[:n], addr)
}

// copy fills b from the extents at addr, reading those that are not there yet.
func (m *memory) copy(b []byte, addr uint64) error {
	if addr>>62 != 0 {
		return fmt.Errorf("read memory at %#x: not an address of a program", addr)
	}
	for len(b) > 0 {
		e, err := m.extent(addr &^ (blockSize - 1))
		if err != nil {
			return err
		}
		in := addr - e.base
		if in >= uint64(len(e.data)) {
			return fmt.Errorf("read memory at %#x: %w", addr, unix.EFAULT)
		}
		n := copy(b, e.data[in:])
		b, addr = b[n:], addr+uint64(n)
	}
	return nil
}

// extent returns the one that holds the block at base.
func (m *memory) extent(base uint64) (*extent, error) {
	if e := m.index[base]; e != nil {
		m.last = e
		return e, nil
	}
	if len(m.index) >= maxBlocks {
		return nil, errTooLarge
	}
	e := m.ahead(base)
	if e == nil {
		e = &extent{base: base, data: make([]byte, blockSize)}
		if err := m.fill(e); err != nil {
			return nil, err
		}
	}
	for off := uint64(0); off < uint64(cap(e.data)); off += blockSize {
		m.index[e.base+off] = e
	}
	m.extents = append(m.extents, e)
	m.last = e
	return e, nil
}

// ahead reads the block at base with those before it, if a list leads down through
// memory: from the newest bucket to the oldest. nil if it does not.
func (m *memory) ahead(base uint64) *extent {
	const before = (readAhead - 1) * blockSize
	if len(m.extents) < manyExtents || m.index[base+blockSize] == nil || base < before {
		return nil
	}
	for off := uint64(blockSize); off <= before; off += blockSize {
		if m.index[base-off] != nil {
			return nil
		}
	}
	e := &extent{base: base - before, data: make([]byte, readAhead*blockSize)}
	if n, _ := m.read(e.data, e.base); n < len(e.data) {
		return nil
	}
	return e
}

func (m *memory) read(b []byte, addr uint64) (int, error) {
	n, err := m.r.ReadAt(b, int64(addr))
	m.reads++
	m.bytes += int64(max(n, 0))
	return n, err
}

// fill reads an extent; what is not mapped at its end is cut, at its start is zero.
func (m *memory) fill(e *extent) error {
	e.data = e.data[:cap(e.data)]
	n, err := m.read(e.data, e.base)
	if n > 0 {
		e.data = e.data[:n]
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("read memory at %#x: %w", e.base, ErrGone)
	}
	clear(e.data)
	end, first := 0, err
	for off := smallRead; off < len(e.data); off += smallRead {
		if n, _ := m.read(e.data[off:off+smallRead], e.base+uint64(off)); n > 0 {
			end = off + n
		}
	}
	if end == 0 {
		return fmt.Errorf("read memory at %#x: %w", e.base, first)
	}
	e.data = e.data[:end]
	return nil
}

// refresh reads every extent anew.
func (m *memory) refresh() error {
	for _, e := range m.extents {
		if err := m.fill(e); err != nil {
			return err
		}
	}
	return nil
}

// forget drops all extents.
func (m *memory) forget() {
	clear(m.index)
	m.extents, m.last = nil, nil
}

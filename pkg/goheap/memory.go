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
	// smallRead is for a block of which a part is not mapped.
	smallRead = 4 << 10
	// maxBlocks bounds the memory that one read holds: 128 MiB, for a list of
	// 100,000 deep stacks.
	maxBlocks = 8 << 10
)

var errTooLarge = errors.New("the profile is larger than is read")

// A memory is the address space of a process (or a test's), read in blocks that
// are kept until refresh or forget. Not safe for concurrent use.
type memory struct {
	r      io.ReaderAt
	blocks map[uint64]*block
	last   *block

	reads int   // system calls
	bytes int64 // read
}

type block struct {
	base uint64
	data []byte
}

func newMemory(r io.ReaderAt) *memory { return &memory{r: r, blocks: map[uint64]*block{}} }

// readAt reads without keeping: what is read twice may differ.
func (m *memory) readAt(b []byte, addr uint64) error {
	if addr>>63 != 0 {
		return fmt.Errorf("read memory at %#x: not an address of a program", addr)
	}
	n, err := m.r.ReadAt(b, int64(addr))
	m.reads++
	m.bytes += int64(max(n, 0))
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

// copy fills b from the blocks at addr, reading those that are not there yet.
func (m *memory) copy(b []byte, addr uint64) error {
	if addr>>62 != 0 {
		return fmt.Errorf("read memory at %#x: not an address of a program", addr)
	}
	for len(b) > 0 {
		bl, err := m.block(addr &^ (blockSize - 1))
		if err != nil {
			return err
		}
		in := addr - bl.base
		if in >= uint64(len(bl.data)) {
			return fmt.Errorf("read memory at %#x: %w", addr, unix.EFAULT)
		}
		n := copy(b, bl.data[in:])
		b, addr = b[n:], addr+uint64(n)
	}
	return nil
}

func (m *memory) block(base uint64) (*block, error) {
	if m.last != nil && m.last.base == base {
		return m.last, nil
	}
	bl := m.blocks[base]
	if bl == nil {
		if len(m.blocks) >= maxBlocks {
			return nil, errTooLarge
		}
		bl = &block{base: base, data: make([]byte, blockSize)}
		if err := m.fill(bl); err != nil {
			return nil, err
		}
		m.blocks[base] = bl
	}
	m.last = bl
	return bl, nil
}

// fill reads a block; what is not mapped at its end is cut, at its start is zero.
func (m *memory) fill(bl *block) error {
	bl.data = bl.data[:blockSize]
	n, err := m.r.ReadAt(bl.data, int64(bl.base))
	m.reads++
	m.bytes += int64(max(n, 0))
	if n == blockSize {
		return nil
	}
	if n > 0 {
		bl.data = bl.data[:n]
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("read memory at %#x: %w", bl.base, ErrGone)
	}
	clear(bl.data)
	end, first := 0, err
	for off := smallRead; off < blockSize; off += smallRead {
		n, err = m.r.ReadAt(bl.data[off:off+smallRead], int64(bl.base)+int64(off))
		m.reads++
		m.bytes += int64(max(n, 0))
		if n > 0 {
			end = off + n
		}
	}
	if end == 0 {
		return fmt.Errorf("read memory at %#x: %w", bl.base, first)
	}
	bl.data = bl.data[:end]
	return nil
}

// refresh reads every block anew.
func (m *memory) refresh() error {
	for _, bl := range m.blocks {
		if err := m.fill(bl); err != nil {
			return err
		}
	}
	return nil
}

// forget drops all blocks.
func (m *memory) forget() {
	clear(m.blocks)
	m.last = nil
}

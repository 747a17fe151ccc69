package unwind

import (
	"io"
	"math"
)

// window is a direct-mapped cache over a part of a file, in chunks of a power of
// two bytes. Reading in order costs one pread for each chunk; reading in any order
// costs at most one or two for each access.
type window struct {
	r        io.ReaderAt
	off      uint64 // of the part in the file
	size     uint64
	bits     uint
	slots    []windowSlot
	straddle []byte
}

type windowSlot struct {
	data   []byte
	number uint64 // of the chunk + 1
}

func newWindow(r io.ReaderAt, off, size uint64, bits uint, slots int) *window {
	return &window{r: r, off: off, size: size, bits: bits, slots: make([]windowSlot, slots)}
}

// view is a window over bytes [off, off+size) of the file, cut at its end.
func (f *image) view(off, size uint64, bits uint, slots int) *window {
	if off > uint64(f.size) {
		off, size = 0, 0
	}
	return newWindow(f.r, off, min(size, uint64(f.size)-off), bits, slots)
}

func (w *window) chunk(n uint64) []byte {
	s := &w.slots[n%uint64(len(w.slots))]
	if s.number == n+1 {
		return s.data
	}
	length := uint64(1) << w.bits
	at := n << w.bits
	length = min(length, w.size-at)
	if s.data == nil {
		s.data = make([]byte, 0, 1<<w.bits)
	}
	if w.off+at > math.MaxInt64 {
		return nil
	}
	got, _ := w.r.ReadAt(s.data[:length], int64(w.off+at))
	s.data, s.number = s.data[:got], n+1
	return s.data
}

// from returns what is at hand from at on: up to the end of a chunk, nil at the end.
// It is valid until the next call.
func (w *window) from(at uint64) []byte {
	if at >= w.size {
		return nil
	}
	d := w.chunk(at >> w.bits)
	in := at & (1<<w.bits - 1)
	if in >= uint64(len(d)) {
		return nil
	}
	return d[in:]
}

// bytes returns n bytes at at, or nil if they are not all there. They are valid
// until the next call.
func (w *window) bytes(at, n uint64) []byte {
	if !within(at, n, w.size) {
		return nil
	}
	d := w.from(at)
	if uint64(len(d)) >= n {
		return d[:n:n]
	}
	if uint64(cap(w.straddle)) < n {
		w.straddle = make([]byte, n)
	}
	out := w.straddle[:n]
	for done := uint64(0); done < n; {
		d := w.from(at + done)
		if d == nil {
			return nil
		}
		done += uint64(copy(out[done:], d))
	}
	return out
}

// tail returns up to n bytes at at.
func (w *window) tail(at, n uint64) []byte {
	if at >= w.size {
		return nil
	}
	return w.bytes(at, min(n, w.size-at))
}

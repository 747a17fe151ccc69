package unwind

import (
	"bytes"
	"compress/zlib"
	"debug/elf"
	"io"
)

const (
	hdrVersion = 1
	hdrHead    = 4 + 4 + 4 // with the encodings that are searchable
	hdrEntry   = 8
	// maxInflated bounds a compressed .debug_frame.
	maxInflated = 64 << 20
)

// ehFrameRows compiles .eh_frame: in the order of the search table of
// .eh_frame_hdr where that is sound, which needs no memory, or else by scanning.
func ehFrameRows(f *image, b *builder) {
	hdr, addr, ok := ehFrameHdr(f)
	sec := f.section(".eh_frame")
	if !ok && sec == nil {
		return
	}
	var s *frames
	if ok {
		if off, n, found := f.offset(addr); found {
			// The section's size bounds it better than the segment's.
			if sec != nil && sec.addr == addr && sec.off == off {
				n = min(n, sec.size)
			}
			s = newFrames(f, b, off, n, addr, false)
		}
	}
	if s != nil && hdr != nil {
		if sorted(hdr) {
			indexed(hdr, s)
			return
		}
		b.stats.BadIndex = true
	}
	if s == nil {
		if sec == nil {
			return
		}
		s = newFrames(f, b, sec.off, sec.size, sec.addr, false)
	}
	s.scan()
}

// searchTable is the table of .eh_frame_hdr.
type searchTable struct {
	w    *window
	base uint64 // address of the section, that all is relative to
	n    uint64
}

// ehFrameHdr reads .eh_frame_hdr: LSB 5.0 core section 10.6.2. It returns the address of
// .eh_frame, and the table if it can be used.
func ehFrameHdr(f *image) (*searchTable, uint64, bool) {
	h := f.frameHdr
	if h.memsz == 0 {
		return nil, 0, false
	}
	w := f.view(h.off, h.filesz, windowBits, 2)
	head := w.tail(0, 32)
	if len(head) < hdrHead || head[0] != hdrVersion {
		return nil, 0, false
	}
	c := cursor{b: head, pos: 4}
	addr := c.pointer(head[1], h.vaddr, h.vaddr)
	if c.bad || head[1] == peOmit {
		return nil, 0, false
	}
	if head[2] == peOmit || head[3] != peTable {
		return nil, addr, true
	}
	n := c.pointer(head[2], h.vaddr, h.vaddr)
	at := uint64(c.pos)
	if c.bad || n == 0 || n > (w.size-at)/hdrEntry || n > maxFDEs {
		return nil, addr, true
	}
	table := f.view(h.off+at, n*hdrEntry, windowBits, 2)
	return &searchTable{w: table, base: h.vaddr, n: n}, addr, true
}

// row returns entry i: the address of a function and of its FDE.
func (t *searchTable) row(i uint64) (pc, fde uint64, ok bool) {
	b := t.w.bytes(i*hdrEntry, hdrEntry)
	if b == nil {
		return 0, 0, false
	}
	return t.base + uint64(int64(int32(le.Uint32(b)))), t.base + uint64(int64(int32(le.Uint32(b[4:])))), true
}

// sorted reports whether the table can be read and ascends.
func sorted(t *searchTable) bool {
	var last uint64
	for i := range t.n {
		pc, _, ok := t.row(i)
		if !ok || pc < last {
			return false
		}
		last = pc
	}
	return true
}

// indexed executes the FDEs of the table, from the last function that starts
// before Options.From on.
func indexed(t *searchTable, s *frames) {
	lo, hi := uint64(0), t.n
	for lo < hi {
		mid := (lo + hi) / 2
		if pc, _, ok := t.row(mid); !ok || pc > s.b.opt.From {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	for i := max(lo, 1) - 1; i < t.n && !s.b.truncated; i++ {
		pc, fde, ok := t.row(i)
		if !ok || pc >= s.b.opt.To {
			return
		}
		if fde < s.vaddr || fde-s.vaddr >= s.w.size {
			s.b.stats.Malformed++
			continue
		}
		s.function(fde - s.vaddr)
	}
}

// debugFrameRows compiles .debug_frame, which has functions that are not in
// .eh_frame in some hand-written code.
func debugFrameRows(f *image, b *builder) {
	sec := f.section(".debug_frame")
	if sec == nil {
		return
	}
	if sec.flags&elf.SHF_COMPRESSED == 0 {
		newFrames(f, b, sec.off, sec.size, 0, true).scan()
		return
	}
	data := inflate(f, sec)
	if data == nil {
		b.stats.Compressed = true
		return
	}
	in := &image{r: bytes.NewReader(data), size: int64(len(data)), arch: f.arch}
	newFrames(in, b, 0, uint64(len(data)), 0, true).scan()
}

// inflate decompresses a section compressed with zlib, or returns nil.
func inflate(f *image, sec *section) []byte {
	h := f.bytes(sec.off, 24) // Elf64_Chdr
	if h == nil || sec.size < 24 || elf.CompressionType(le.Uint32(h)) != elf.COMPRESS_ZLIB {
		return nil
	}
	size := le.Uint64(h[8:])
	if size > maxInflated {
		return nil
	}
	z, err := zlib.NewReader(io.NewSectionReader(f.r, int64(sec.off)+24, int64(sec.size)-24))
	if err != nil {
		return nil
	}
	defer z.Close()
	data, err := io.ReadAll(io.LimitReader(z, int64(size)))
	if err != nil || uint64(len(data)) != size {
		return nil
	}
	return data
}

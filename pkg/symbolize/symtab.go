package symbolize

import (
	"debug/elf"
	"encoding/binary"
	"io"
	"math"
	"strings"
)

// Rank of a candidate: what to prefer at one address.
const (
	rankSized  = iota // has a size
	rankMarked        // no size, but a function or global: assembly
	rankLabel         // no size, no type, local: a label
)

// A candidate is a symbol before aliases and labels are sorted out.
type candidate struct {
	addr, size uint32
	name       uint32
	rank       uint8
	local      bool
}

// each calls yield with every usable symbol of the table, in its order.
func (s *symbols) each(f *file, table *section, text []Segment, yield func(candidate) bool) {
	size := 16
	if f.is64 {
		size = 24
	}
	if table.entsize != 0 && table.entsize != uint64(size) {
		return
	}
	r := io.NewSectionReader(s.pages.r, int64(table.off), int64(table.size))
	buf := make([]byte, 2048*size)
	for {
		n, err := io.ReadFull(r, buf)
		for b := buf[:n-n%size]; len(b) > 0; b = b[size:] {
			c, ok := s.candidate(f, b, text)
			if ok && !yield(c) {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (s *symbols) candidate(f *file, b []byte, text []Segment) (candidate, bool) {
	le := binary.LittleEndian
	c := candidate{name: le.Uint32(b)}
	var info byte
	var shndx uint16
	var value, size uint64
	if f.is64 {
		info, shndx, value, size = b[4], le.Uint16(b[6:]), le.Uint64(b[8:]), le.Uint64(b[16:])
	} else {
		value, size, info, shndx = uint64(le.Uint32(b[4:])), uint64(le.Uint32(b[8:])), b[12], le.Uint16(b[14:])
	}
	switch i := elf.SectionIndex(shndx); i {
	case elf.SHN_UNDEF, elf.SHN_ABS, elf.SHN_COMMON:
		return c, false
	}
	if c.name == 0 || int64(c.name) >= s.stringsEnd-s.strings {
		return c, false
	}
	c.local = elf.ST_BIND(info) == elf.STB_LOCAL
	switch typ := elf.ST_TYPE(info); typ {
	case elf.STT_FUNC, elf.STT_GNU_IFUNC:
		c.rank = rankMarked
	case elf.STT_NOTYPE:
		if int(shndx) < len(f.sections) && f.sections[shndx].flags&elf.SHF_EXECINSTR == 0 {
			return c, false
		}
		c.rank = rankMarked
		if c.local {
			c.rank = rankLabel
		}
	default:
		return c, false
	}
	seg, ok := segmentOf(text, value)
	if !ok || value-s.base > math.MaxUint32 {
		return c, false
	}
	c.addr = uint32(value - s.base)
	size = min(size, seg.Vaddr+seg.Memsz-value, math.MaxUint32-uint64(c.addr))
	if c.size = uint32(size); c.size > 0 {
		c.rank = rankSized
	}
	if c.rank == rankLabel {
		// Mapping symbols of arm64 ($x, $d: AAELF64 5.5.5) and assembler labels.
		if n := s.pages.cstring(s.strings+int64(c.name), s.stringsEnd, 3); strings.HasPrefix(n, "$") || strings.HasPrefix(n, ".L") {
			return c, false
		}
	}
	return c, true
}

func segmentOf(text []Segment, vaddr uint64) (Segment, bool) {
	for _, s := range text {
		if vaddr >= s.Vaddr && vaddr-s.Vaddr < s.Memsz {
			return s, true
		}
	}
	return Segment{}, false
}

package allocator

import (
	"bytes"
	"debug/elf"
	"io"
)

// A symbol is what this package wants to know of one. Its name is valid until the next.
type symbol struct {
	name        []byte
	value, size uint64
	function    bool
}

const (
	// maxSymbols bounds what is read of a file: a large browser has about a million.
	maxSymbols = 4 << 20
	// maxStrings bounds the names of one table.
	maxStrings = 128 << 20

	symbolSize  = 24 // sizeof(Elf64_Sym)
	symbolChunk = 2048 * symbolSize
)

// eachSymbol calls visit with every symbol that a file defines, those for the dynamic linker first. It holds the names of
// one table and no more: debug/elf makes an object of every symbol, of which programs have a hundred thousand.
func eachSymbol(f *elf.File, visit func(symbol)) {
	if f.Class != elf.ELFCLASS64 {
		return
	}
	left := maxSymbols
	for _, kind := range []elf.SectionType{elf.SHT_DYNSYM, elf.SHT_SYMTAB} {
		s := f.SectionByType(kind)
		if s == nil || int(s.Link) >= len(f.Sections) || f.Sections[s.Link].Size > maxStrings {
			continue
		}
		names, err := f.Sections[s.Link].Data()
		if err != nil {
			continue
		}
		left -= symbolsOf(f, s, names, left, visit)
	}
}

func symbolsOf(f *elf.File, s *elf.Section, names []byte, most int, visit func(symbol)) (n int) {
	in := s.Open()
	chunk := make([]byte, symbolChunk)
	for {
		got, err := io.ReadFull(in, chunk)
		for b := chunk[:got]; len(b) >= symbolSize && n < most; b = b[symbolSize:] {
			n++
			at := f.ByteOrder.Uint32(b)
			section := elf.SectionIndex(f.ByteOrder.Uint16(b[6:]))
			if section == elf.SHN_UNDEF || int64(at) >= int64(len(names)) {
				continue
			}
			name, _, ended := bytes.Cut(names[at:min(len(names), int(at)+maxName)], []byte{0})
			if !ended {
				continue // longer than any name that is known
			}
			visit(symbol{
				name: name, value: f.ByteOrder.Uint64(b[8:]), size: f.ByteOrder.Uint64(b[16:]),
				function: elf.ST_TYPE(b[4]) == elf.STT_FUNC,
			})
		}
		if err != nil || n >= most {
			return n
		}
	}
}

// maxName is longer than the names that lookup knows.
const maxName = 128

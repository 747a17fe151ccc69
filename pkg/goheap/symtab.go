package goheap

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io"
)

// Limits of a symbol table: a program of 1 GB has some 2 million symbols.
const (
	maxSymbols = 16 << 20
	maxStrings = 1 << 30
)

// variableSymbols returns the addresses of the runtime's variables by name, as
// .symtab has them; nothing without one. It reads in chunks and keeps nothing.
func variableSymbols(f *elf.File) map[string]uint64 {
	for _, s := range f.Sections {
		if s.Type != elf.SHT_SYMTAB || int(s.Link) >= len(f.Sections) || s.Flags&elf.SHF_COMPRESSED != 0 {
			continue
		}
		names := f.Sections[s.Link]
		if names.Type != elf.SHT_STRTAB || names.Flags&elf.SHF_COMPRESSED != 0 {
			continue
		}
		return symbolAddresses(s, nameOffsets(names))
	}
	return nil
}

// nameOffsets returns where in the string table the names of variables begin. A
// linker may let a name begin inside of another one, with the same end.
func nameOffsets(r io.ReaderAt) map[uint32]string {
	const chunk, longest = 64 << 10, 64
	found := map[uint32]string{}
	buf := make([]byte, chunk+longest)
	for off := int64(0); off < maxStrings; off += chunk {
		n, _ := r.ReadAt(buf, off)
		if n == 0 {
			break
		}
		for v := range numVariables {
			name := append([]byte(v.String()), 0)
			for at := 0; at < min(n, chunk); {
				i := bytes.Index(buf[at:n], name)
				if i < 0 {
					break
				}
				found[uint32(off)+uint32(at+i)] = v.String()
				at += i + 1
			}
		}
		if n < len(buf) {
			break
		}
	}
	return found
}

// symbolAddresses finds the symbols with these names that have a place (Elf64_Sym).
func symbolAddresses(r io.ReaderAt, names map[uint32]string) map[string]uint64 {
	const size = elf.Sym64Size
	if len(names) == 0 {
		return nil
	}
	found := map[string]uint64{}
	in := io.NewSectionReader(r, 0, maxSymbols*size)
	buf := make([]byte, 2048*size)
	for {
		n, err := io.ReadFull(in, buf)
		for b := buf[:n-n%size]; len(b) > 0; b = b[size:] {
			name, ok := names[binary.LittleEndian.Uint32(b)]
			placed := binary.LittleEndian.Uint16(b[6:]) != uint16(elf.SHN_UNDEF)
			if ok && placed && elf.ST_TYPE(b[4]) == elf.STT_OBJECT {
				found[name] = binary.LittleEndian.Uint64(b[8:])
			}
		}
		if err != nil {
			return found
		}
	}
}

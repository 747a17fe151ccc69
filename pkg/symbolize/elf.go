package symbolize

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	maxSegments = 1024    // the kernel refuses more than 64 KiB of program headers (fs/binfmt_elf.c)
	maxSections = 4096    // linked objects have tens; more are not needed to find ours
	maxNameTab  = 1 << 17 // section names
)

// ErrNotELF reports that a file is no ELF object of this kind of machine
// (little-endian, 32 or 64 bits).
var ErrNotELF = errors.New("not a little-endian ELF file")

// A Segment is an executable PT_LOAD program header.
type Segment struct {
	Vaddr, Offset, Filesz, Memsz uint64
}

type segment struct {
	Segment
	typ   elf.ProgType
	flags elf.ProgFlag
}

type section struct {
	name      string
	typ       elf.SectionType
	flags     elf.SectionFlag
	addr      uint64
	off, size uint64 // within the file unless typ is SHT_NOBITS, which has size only
	link      uint32
	entsize   uint64
}

// file is the headers of an ELF file. Every offset and size in it has been
// checked against the size of the file.
type file struct {
	is64     bool
	machine  elf.Machine
	entry    uint64 // e_entry
	segments []segment
	sections []section // index 0 is the null section
}

// readFile parses the file header, program headers and section headers. Bad or
// missing section headers leave no sections; they are not needed to run a program.
func readFile(r io.ReaderAt, size int64) (*file, error) {
	var h [64]byte
	n, err := r.ReadAt(h[:], 0)
	if n < 52 {
		if err == nil || errors.Is(err, io.EOF) {
			err = fmt.Errorf("%d bytes", n)
		}
		return nil, fmt.Errorf("read ELF header: %w: %w", ErrNotELF, err)
	}
	if string(h[:4]) != elf.ELFMAG || elf.Data(h[elf.EI_DATA]) != elf.ELFDATA2LSB {
		return nil, fmt.Errorf("read ELF header: %w", ErrNotELF)
	}
	f := &file{}
	le := binary.LittleEndian
	f.machine = elf.Machine(le.Uint16(h[18:]))
	var phoff, shoff uint64
	var tail []byte // from e_ehsize on, the same in both classes
	switch elf.Class(h[elf.EI_CLASS]) {
	case elf.ELFCLASS64:
		if n < 64 {
			return nil, fmt.Errorf("read ELF header: %w: %d bytes", ErrNotELF, n)
		}
		f.is64 = true
		f.entry = le.Uint64(h[24:])
		phoff, shoff, tail = le.Uint64(h[32:]), le.Uint64(h[40:]), h[52:]
	case elf.ELFCLASS32:
		f.entry = uint64(le.Uint32(h[24:]))
		phoff, shoff, tail = uint64(le.Uint32(h[28:])), uint64(le.Uint32(h[32:])), h[40:]
	default:
		return nil, fmt.Errorf("read ELF header: %w: class %d", ErrNotELF, h[elf.EI_CLASS])
	}
	f.readSegments(r, size, phoff, int(le.Uint16(tail[2:])), int(le.Uint16(tail[4:])))
	f.readSections(r, size, shoff, int(le.Uint16(tail[6:])), int(le.Uint16(tail[8:])), int(le.Uint16(tail[10:])))
	return f, nil
}

// table reads count entries of entsize bytes, or nil if they do not lie in the file.
func table(r io.ReaderAt, size int64, off uint64, entsize, count int) []byte {
	n := uint64(entsize) * uint64(count)
	if off == 0 || n == 0 || !within(off, n, size) {
		return nil
	}
	b := make([]byte, n)
	if got, _ := r.ReadAt(b, int64(off)); uint64(got) < n {
		return nil
	}
	return b
}

func within(off, n uint64, size int64) bool {
	return size >= 0 && n <= uint64(size) && off <= uint64(size)-n
}

func (f *file) readSegments(r io.ReaderAt, size int64, off uint64, entsize, count int) {
	want := 32
	if f.is64 {
		want = 56
	}
	if entsize < want || entsize > 256 {
		return
	}
	b := table(r, size, off, entsize, min(count, maxSegments))
	le := binary.LittleEndian
	for ; len(b) >= entsize; b = b[entsize:] {
		var s segment
		s.typ = elf.ProgType(le.Uint32(b))
		if f.is64 {
			s.flags = elf.ProgFlag(le.Uint32(b[4:]))
			s.Segment = Segment{Offset: le.Uint64(b[8:]), Vaddr: le.Uint64(b[16:]), Filesz: le.Uint64(b[32:]), Memsz: le.Uint64(b[40:])}
		} else {
			s.flags = elf.ProgFlag(le.Uint32(b[24:]))
			s.Segment = Segment{Offset: uint64(le.Uint32(b[4:])), Vaddr: uint64(le.Uint32(b[8:])), Filesz: uint64(le.Uint32(b[16:])), Memsz: uint64(le.Uint32(b[20:]))}
		}
		switch s.typ {
		case elf.PT_LOAD, elf.PT_NOTE:
		default:
			continue
		}
		// A separate debug file keeps the program headers but not the bytes. An
		// address range that wraps is nonsense.
		if s.Vaddr+s.Memsz < s.Vaddr || s.Offset+s.Filesz < s.Offset {
			continue
		}
		f.segments = append(f.segments, s)
	}
}

func (f *file) readSections(r io.ReaderAt, size int64, off uint64, entsize, count, names int) {
	want := 40
	if f.is64 {
		want = 64
	}
	if entsize < want || entsize > 256 {
		return
	}
	b := table(r, size, off, entsize, min(count, maxSections))
	nameOffs := make([]uint32, 0, len(b)/entsize)
	le := binary.LittleEndian
	for ; len(b) >= entsize; b = b[entsize:] {
		s := section{typ: elf.SectionType(le.Uint32(b[4:]))}
		if f.is64 {
			s.flags = elf.SectionFlag(le.Uint64(b[8:]))
			s.addr, s.off, s.size = le.Uint64(b[16:]), le.Uint64(b[24:]), le.Uint64(b[32:])
			s.link, s.entsize = le.Uint32(b[40:]), le.Uint64(b[56:])
		} else {
			s.flags = elf.SectionFlag(le.Uint32(b[8:]))
			s.addr, s.off, s.size = uint64(le.Uint32(b[12:])), uint64(le.Uint32(b[16:])), uint64(le.Uint32(b[20:]))
			s.link, s.entsize = le.Uint32(b[24:]), uint64(le.Uint32(b[36:]))
		}
		if s.typ == elf.SHT_NOBITS {
			s.off = 0
			if s.addr+s.size < s.addr {
				s.size = 0
			}
		} else if !within(s.off, s.size, size) || s.addr+s.size < s.addr {
			s.typ, s.off, s.size = elf.SHT_NULL, 0, 0
		}
		f.sections = append(f.sections, s)
		nameOffs = append(nameOffs, le.Uint32(b))
	}
	if names >= len(f.sections) || f.sections[names].typ != elf.SHT_STRTAB {
		return
	}
	tab := table(r, size, f.sections[names].off, 1, int(min(f.sections[names].size, maxNameTab)))
	for i, o := range nameOffs {
		if uint64(o) >= uint64(len(tab)) {
			continue
		}
		n := tab[o:min(len(tab), int(o)+64)]
		if z := bytes.IndexByte(n, 0); z >= 0 {
			f.sections[i].name = string(n[:z])
		}
	}
}

// section returns the first section of that name with bytes in the file, or nil.
func (f *file) section(name string) *section {
	for i := range f.sections {
		s := &f.sections[i]
		if s.name == name && s.typ != elf.SHT_NULL && s.typ != elf.SHT_NOBITS && s.size > 0 {
			return s
		}
	}
	return nil
}

// sectionOf returns the first section of that type with bytes in the file, or nil.
func (f *file) sectionOf(typ elf.SectionType) *section {
	for i := range f.sections {
		if s := &f.sections[i]; s.typ == typ && s.size > 0 {
			return s
		}
	}
	return nil
}

// offset returns the file offset of an ELF virtual address that a PT_LOAD has
// bytes for.
func (f *file) offset(vaddr uint64) (int64, bool) {
	for i := range f.segments {
		s := &f.segments[i]
		if s.typ == elf.PT_LOAD && vaddr >= s.Vaddr && vaddr-s.Vaddr < s.Filesz {
			off := s.Offset + (vaddr - s.Vaddr)
			return int64(off), int64(off) >= 0
		}
	}
	return 0, false
}

// executable returns the executable PT_LOADs in the order of the file.
func (f *file) executable() []Segment {
	var out []Segment
	for _, s := range f.segments {
		if s.typ == elf.PT_LOAD && s.flags&elf.PF_X != 0 {
			out = append(out, s.Segment)
		}
	}
	return out
}

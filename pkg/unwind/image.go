package unwind

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

const (
	maxSegments   = 1024
	maxHeader     = 256 // bytes of one program or section header
	maxSections   = 1 << 16
	maxNames      = 4 << 20
	maxSectionLen = 64 // of a name
	maxDynamic    = 1 << 16
)

var le = binary.LittleEndian

// image is what is needed of an ELF file's headers. Sections are optional and only
// a hint; a bad table of sections is the same as none.
type image struct {
	r        io.ReaderAt
	size     int64
	arch     Arch
	entry    uint64
	loads    []segment
	frameHdr segment // PT_GNU_EH_FRAME; memsz 0 if there is none
	program  bool    // e_entry is where the kernel or the loader starts
	sections []section
}

type segment struct {
	typ                          elf.ProgType
	flags                        elf.ProgFlag
	off, vaddr, filesz, memsz, _ uint64
}

type section struct {
	name            string
	typ             elf.SectionType
	flags           elf.SectionFlag
	addr, off, size uint64
}

func readImage(r io.ReaderAt, size int64) (*image, error) {
	var h [64]byte
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, size), h[:]); err != nil {
		return nil, fmt.Errorf("file header: %w", err)
	}
	if string(h[:4]) != elf.ELFMAG {
		return nil, errors.New("no ELF file")
	}
	if h[elf.EI_CLASS] != byte(elf.ELFCLASS64) || h[elf.EI_DATA] != byte(elf.ELFDATA2LSB) {
		return nil, errors.New("not 64-bit little-endian")
	}
	f := &image{r: r, size: size, entry: le.Uint64(h[24:])}
	machine := elf.Machine(le.Uint16(h[18:]))
	var ok bool
	if f.arch, ok = archOf(machine); !ok {
		return nil, fmt.Errorf("machine %v is not supported", machine)
	}
	if err := f.readSegments(le.Uint64(h[32:]), le.Uint16(h[54:]), le.Uint16(h[56:])); err != nil {
		return nil, err
	}
	f.readSections(le.Uint64(h[40:]), le.Uint16(h[58:]), le.Uint16(h[60:]), le.Uint16(h[62:]))
	return f, nil
}

// bytes reads n bytes at off, or returns nil if they are not all in the file.
func (f *image) bytes(off, n uint64) []byte {
	if !within(off, n, uint64(f.size)) || n > math.MaxInt32 {
		return nil
	}
	b := make([]byte, n)
	if _, err := f.r.ReadAt(b, int64(off)); err != nil && err != io.EOF {
		return nil
	}
	return b
}

// within reports whether [off, off+n) lies in [0, size).
func within(off, n, size uint64) bool { return off <= size && n <= size-off }

func (f *image) readSegments(off uint64, entsize, n uint16) error {
	if n == 0 {
		return nil
	}
	if entsize < 56 || entsize > maxHeader || n > maxSegments {
		return fmt.Errorf("%d program headers of %d bytes", n, entsize)
	}
	b := f.bytes(off, uint64(n)*uint64(entsize))
	if b == nil {
		return errors.New("program headers lie outside the file")
	}
	needed := false
	for ; len(b) >= int(entsize); b = b[entsize:] {
		s := segment{
			typ: elf.ProgType(le.Uint32(b)), flags: elf.ProgFlag(le.Uint32(b[4:])), off: le.Uint64(b[8:]),
			vaddr: le.Uint64(b[16:]), filesz: le.Uint64(b[32:]), memsz: le.Uint64(b[40:]),
		}
		if s.vaddr+s.memsz < s.vaddr || s.filesz > s.memsz && s.typ == elf.PT_LOAD {
			continue
		}
		switch s.typ {
		case elf.PT_LOAD:
			f.loads = append(f.loads, s)
		case elf.PT_GNU_EH_FRAME:
			f.frameHdr = s
		case elf.PT_INTERP:
			f.program = true
		case elf.PT_DYNAMIC:
			needed = f.needs(s)
		}
	}
	f.program = f.program || !needed
	slices.SortStableFunc(f.loads, func(a, b segment) int {
		switch {
		case a.vaddr < b.vaddr:
			return -1
		case a.vaddr > b.vaddr:
			return 1
		}
		return 0
	})
	return nil
}

// needs reports whether a dynamic section names a library.
func (f *image) needs(s segment) bool {
	b := f.bytes(s.off, min(s.filesz, maxDynamic))
	for ; len(b) >= 16; b = b[16:] {
		switch elf.DynTag(le.Uint64(b)) {
		case elf.DT_NEEDED:
			return true
		case elf.DT_NULL:
			return false
		}
	}
	return false
}

func (f *image) readSections(off uint64, entsize, n, names uint16) {
	if entsize < 64 || entsize > maxHeader || n == 0 || int(n) > maxSections || names >= n {
		return
	}
	b := f.bytes(off, uint64(n)*uint64(entsize))
	if b == nil {
		return
	}
	at := b[int(names)*int(entsize):]
	strtab := f.bytes(le.Uint64(at[24:]), min(le.Uint64(at[32:]), maxNames))
	for ; len(b) >= int(entsize); b = b[entsize:] {
		s := section{
			typ: elf.SectionType(le.Uint32(b[4:])), flags: elf.SectionFlag(le.Uint64(b[8:])),
			addr: le.Uint64(b[16:]), off: le.Uint64(b[24:]), size: le.Uint64(b[32:]),
		}
		if i := le.Uint32(b); uint64(i) < uint64(len(strtab)) {
			name := strtab[i:min(uint64(len(strtab)), uint64(i)+maxSectionLen)]
			if end := bytes.IndexByte(name, 0); end >= 0 {
				s.name = string(name[:end])
			}
		}
		if s.typ != elf.SHT_NOBITS && !within(s.off, s.size, uint64(f.size)) || s.addr+s.size < s.addr {
			continue
		}
		f.sections = append(f.sections, s)
	}
}

func (f *image) section(name string) *section {
	for i := range f.sections {
		if f.sections[i].name == name && f.sections[i].typ != elf.SHT_NOBITS {
			return &f.sections[i]
		}
	}
	return nil
}

// offset translates an address and returns how many bytes of the file follow it.
func (f *image) offset(vaddr uint64) (off, n uint64, ok bool) {
	for _, s := range f.loads {
		if vaddr >= s.vaddr && vaddr-s.vaddr < s.filesz {
			in := vaddr - s.vaddr
			off := s.off + in
			if off < in || off >= uint64(f.size) {
				return 0, 0, false
			}
			return off, min(s.filesz-in, uint64(f.size)-off), true
		}
	}
	return 0, 0, false
}

// exec returns the executable segments in ascending order.
func (f *image) exec() []span {
	var out []span
	for _, s := range f.loads {
		if s.flags&elf.PF_X != 0 && s.memsz > 0 {
			out = append(out, span{s.vaddr, s.vaddr + s.memsz})
		}
	}
	return out
}

// base is the lowest executable address.
func (f *image) base() uint64 {
	if x := f.exec(); len(x) > 0 {
		return x[0].lo
	}
	return 0
}

// text returns where code is, in ascending order without overlaps: the executable
// sections, or without any the executable segments.
func (f *image) text() []span {
	var out []span
	exec := f.exec()
	for _, s := range f.sections {
		if s.flags&elf.SHF_EXECINSTR == 0 || s.flags&elf.SHF_ALLOC == 0 || s.size == 0 {
			continue
		}
		for _, x := range exec {
			if s.addr >= x.lo && s.addr < x.hi {
				out = append(out, span{s.addr, min(s.addr+s.size, x.hi)})
				break
			}
		}
	}
	if len(out) == 0 {
		out = exec
	}
	slices.SortFunc(out, func(a, b span) int {
		switch {
		case a.lo < b.lo:
			return -1
		case a.lo > b.lo:
			return 1
		}
		return 0
	})
	for i := 1; i < len(out); i++ {
		out[i].lo = max(out[i].lo, out[i-1].hi)
		out[i].hi = max(out[i].hi, out[i].lo)
	}
	return out
}

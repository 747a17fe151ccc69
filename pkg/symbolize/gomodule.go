package symbolize

import (
	"debug/elf"
	"encoding/binary"
	"io"
)

// runtime.moduledata (runtime/symtab.go) in words, the same since Go 1.16 up to
// noptrbss. Go 1.20 added covctrs and ecovctrs.
const (
	mdHeader    = 0
	mdNames     = 1
	mdUnits     = 4
	mdText      = 22
	mdEtext     = 23
	mdGofunc118 = 38
	mdGofunc120 = 40
	mdWords     = 41
)

// locate finds what the entries of the table are relative to and where the inline
// trees are, and reports whether functions can be found. Both are in moduledata,
// which is found by its pointers to this table; before Go 1.26 the table's header
// has the start of text as well, but not in a position independent program linked
// by another linker.
func (t *goTable) locate() bool {
	if t.version == go116 {
		// Entries are addresses, and so are references to function data.
		first, ok := t.entry(0)
		_, inFile := t.file.offset(first)
		return ok && inFile
	}
	if md, ok := t.module(); ok {
		t.text = md[mdText]
		gofunc := md[mdGofunc120]
		if t.version == go118 {
			gofunc = md[mdGofunc118]
		}
		if _, ok := t.file.offset(gofunc); ok {
			t.gofunc = gofunc
		}
		return true
	}
	text, ok := t.pointer(uint64(8 + 2*t.ptr))
	if !ok || text == 0 || !t.plausibleText(text) {
		return false
	}
	t.text = text
	return true
}

// plausibleText reports whether all functions would lie in one executable segment.
func (t *goTable) plausibleText(text uint64) bool {
	s, ok := segmentOf(t.file.executable(), text)
	return ok && t.end <= s.Memsz && text-s.Vaddr <= s.Memsz-t.end
}

type goModule [mdWords]uint64

func (t *goTable) plausibleModule(md *goModule) bool {
	return md[mdHeader] == t.vaddr && md[mdNames] == t.vaddr+t.names && md[mdUnits] == t.vaddr+t.units &&
		md[mdEtext] > md[mdText] && t.plausibleText(md[mdText])
}

// module reads the moduledata of this table: from its own section, from anywhere
// in writable data, or, where the linker left pointers to the dynamic loader,
// from the relocations.
func (t *goTable) module() (*goModule, bool) {
	if s := t.file.section(".go.module"); s != nil {
		if md, ok := t.scanModule(int64(s.off), int64(s.size)); ok {
			return md, true
		}
	} else {
		budget := uint64(maxGoScan)
		for _, s := range t.file.segments {
			if s.typ != elf.PT_LOAD || s.flags&elf.PF_W == 0 || !within(s.Offset, s.Filesz, t.pages.size) {
				continue
			}
			n := min(s.Filesz, budget)
			if md, ok := t.scanModule(int64(s.Offset), int64(n)); ok {
				return md, true
			}
			budget -= n
		}
	}
	return t.relocatedModule()
}

func (t *goTable) scanModule(off, n int64) (*goModule, bool) {
	var found *goModule
	candidates := maxGoCandidates
	scanAligned(t.pages.r, off, n, int64(t.ptr), func(at int64, b []byte) bool {
		if t.word(b) != t.vaddr {
			return true
		}
		candidates--
		raw := t.pages.bytes(at, mdWords*t.ptr)
		if raw == nil {
			return candidates > 0
		}
		var md goModule
		for i := range md {
			md[i] = t.word(raw[i*t.ptr:])
		}
		if t.plausibleModule(&md) {
			found = &md
		}
		return found == nil && candidates > 0
	})
	return found, found != nil
}

func (t *goTable) word(b []byte) uint64 {
	if t.ptr == 4 {
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return binary.LittleEndian.Uint64(b)
}

// relocatedModule rebuilds moduledata from RELA relocations, whose addends are
// then the only place where the pointers are.
func (t *goTable) relocatedModule() (*goModule, bool) {
	if !t.file.is64 {
		return nil, false
	}
	var places []uint64
	t.eachRelative(func(place, value uint64) bool {
		if value == t.vaddr {
			places = append(places, place)
		}
		return len(places) < 64
	})
	if len(places) == 0 {
		return nil, false
	}
	modules := make([]goModule, len(places))
	t.eachRelative(func(place, value uint64) bool {
		for i, p := range places {
			if d := place - p; d%8 == 0 && d/8 < mdWords {
				modules[i][d/8] = value
			}
		}
		return true
	})
	for i := range modules {
		if t.plausibleModule(&modules[i]) {
			return &modules[i], true
		}
	}
	return nil, false
}

// eachRelative calls yield with every relative relocation: where, and what
// address goes there.
func (t *goTable) eachRelative(yield func(place, value uint64) bool) {
	var relative uint32
	switch t.file.machine {
	case elf.EM_X86_64:
		relative = uint32(elf.R_X86_64_RELATIVE)
	case elf.EM_AARCH64:
		relative = uint32(elf.R_AARCH64_RELATIVE)
	default:
		return
	}
	const size = 24
	buf := make([]byte, 2048*size)
	budget := int64(maxGoScan)
	for _, s := range t.file.sections {
		if s.typ != elf.SHT_RELA || s.flags&elf.SHF_ALLOC == 0 || budget <= 0 {
			continue
		}
		r := io.NewSectionReader(t.pages.r, int64(s.off), min(int64(s.size), budget))
		budget -= int64(s.size)
		for {
			n, err := io.ReadFull(r, buf)
			for b := buf[:n-n%size]; len(b) > 0; b = b[size:] {
				le := binary.LittleEndian
				if le.Uint32(b[8:]) == relative && !yield(le.Uint64(b), le.Uint64(b[16:])) {
					return
				}
			}
			if err != nil {
				break
			}
		}
	}
}

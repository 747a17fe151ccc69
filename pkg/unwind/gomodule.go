package unwind

import "debug/elf"

const (
	// Words of runtime.moduledata (runtime/symtab.go), the same since 1.16: pcHeader
	// is the address of .gopclntab.
	moduleHeader, moduleText, moduleEtext = 0, 22, 23

	maxGoScan       = 256 << 20
	maxGoCandidates = 64
)

// goText finds the address that entries are relative to. The header says so until
// 1.25, unless a position independent program was linked by another linker; later
// only runtime.moduledata does, which is found by its pointer to the table: in its
// own section, in any data, or in relocations.
func goText(f *image, table *section, header uint64) uint64 {
	if header != 0 && executable(f, header) {
		return header
	}
	var found uint64
	search := func(off, n uint64) {
		words(f, off, n, func(place uint64, v uint64) bool {
			if v == table.addr && found == 0 {
				found = moduleTextAt(f, place)
			}
			return found == 0
		})
	}
	if s := f.section(".go.module"); s != nil {
		search(s.off, s.size)
	}
	if found == 0 {
		budget := uint64(maxGoScan)
		for _, s := range f.loads {
			if s.flags&elf.PF_W != 0 && found == 0 {
				n := min(s.filesz, budget)
				search(s.off, n)
				budget -= n
			}
		}
	}
	if found == 0 {
		found = relocatedText(f, table.addr)
	}
	return found
}

func executable(f *image, vaddr uint64) bool {
	for _, s := range f.exec() {
		if vaddr >= s.lo && vaddr < s.hi {
			return true
		}
	}
	return false
}

// moduleTextAt returns the start of text in a moduledata at an offset of the file,
// or 0 if there is none.
func moduleTextAt(f *image, off uint64) uint64 {
	b := f.bytes(off, 8*(moduleEtext+1))
	if b == nil {
		return 0
	}
	text, etext := le.Uint64(b[8*moduleText:]), le.Uint64(b[8*moduleEtext:])
	if text == 0 || etext <= text || !executable(f, text) {
		return 0
	}
	return text
}

// words calls yield with each aligned word until that returns false.
func words(f *image, off, n uint64, yield func(off, v uint64) bool) {
	w := f.view(off, n, 16, 1)
	for at := uint64(0); at < w.size; {
		b := w.from(at)
		if len(b) < 8 {
			return
		}
		for i := 0; i+8 <= len(b); i += 8 {
			if !yield(off+at+uint64(i), le.Uint64(b[i:])) {
				return
			}
		}
		at += uint64(len(b)) &^ 7
	}
}

// relocatedText finds the start of text where moduledata is filled in by the
// dynamic loader: the addends of relative relocations are its words.
func relocatedText(f *image, table uint64) uint64 {
	var modules []uint64
	relative(f, func(place, value uint64) bool {
		if value == table {
			modules = append(modules, place)
		}
		return len(modules) < maxGoCandidates
	})
	if len(modules) == 0 {
		return 0
	}
	var found uint64
	relative(f, func(place, value uint64) bool {
		for _, m := range modules {
			if place == m+8*moduleText && executable(f, value) {
				found = value
			}
		}
		return found == 0
	})
	return found
}

// relative calls yield with each relative relocation until that returns false.
func relative(f *image, yield func(place, value uint64) bool) {
	typ := uint32(elf.R_X86_64_RELATIVE)
	if f.arch == ARM64 {
		typ = uint32(elf.R_AARCH64_RELATIVE)
	}
	const size = 24 // Elf64_Rela
	budget := uint64(maxGoScan)
	for _, s := range f.sections {
		if s.typ != elf.SHT_RELA || s.flags&elf.SHF_ALLOC == 0 {
			continue
		}
		n := min(s.size, budget)
		budget -= n
		w := f.view(s.off, n, 14, 2)
		for at := uint64(0); at+size <= w.size; at += size {
			b := w.bytes(at, size)
			if b == nil {
				break
			}
			if le.Uint32(b[8:]) == typ && !yield(le.Uint64(b), le.Uint64(b[16:])) {
				return
			}
		}
	}
}

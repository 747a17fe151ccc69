package symbolize

import (
	"debug/elf"
	"encoding/binary"
	"io"
)

// Go's runtime.pclntab, present in every Go program whatever was stripped:
// functions, files, lines and inlined calls (runtime/symtab.go pcHeader,
// cmd/link/internal/ld/pcln.go).

// goVersion is a layout of the table, by its magic number (internal/abi/symtab.go).
type goVersion int

const (
	go116 goVersion = iota + 1 // 0xfffffffa: Go 1.16 and 1.17
	go118                      // 0xfffffff0: 1.18 and 1.19; entries relative to text
	go120                      // 0xfffffff1: 1.20 and later; start lines, shorter inline entries
)

const (
	maxGoFuncs = 8 << 20
	// maxGoScan bounds the search for a table in a file without section headers, and
	// for moduledata in one without the section .go.module (before Go 1.26).
	maxGoScan = 512 << 20
	// maxGoCandidates bounds how many look-alikes are looked at closely.
	maxGoCandidates = 4096
)

// goTable is a resolver over a pclntab. Nothing of the table is kept in memory
// but its header; lookups go through the object's pages.
type goTable struct {
	pages   *pages
	file    *file
	version goVersion
	off     int64  // of the table in the file
	size    int64  // upper bound
	vaddr   uint64 // of the table
	ptr     int    // size of a pointer
	quantum uint64 // unit of instruction addresses

	funcs                             uint64 // number of functions
	names, units, files, pcs, funcTab uint64 // offsets of the parts in the table

	text   uint64 // what entries are relative to; 0 before Go 1.18
	end    uint64 // end of the last function, relative to text
	gofunc uint64 // what function data are relative to, 0 when unknown: no inlined calls
}

func (f *file) pclntab() *section {
	for _, name := range []string{".gopclntab", ".data.rel.ro.gopclntab"} {
		if s := f.section(name); s != nil {
			return s
		}
	}
	return nil
}

// newGoTable finds and checks the table of an object, or returns nil.
func newGoTable(p *pages, f *file) *goTable {
	if s := f.pclntab(); s != nil {
		if t := parseGoTable(p, f, int64(s.off), int64(s.size), s.addr); t != nil && t.locate() {
			return t
		}
	}
	if len(f.sections) > 0 {
		return nil
	}
	budget, candidates := int64(maxGoScan), maxGoCandidates
	for _, s := range f.segments {
		if s.typ != elf.PT_LOAD || !within(s.Offset, s.Filesz, p.size) {
			continue
		}
		var found *goTable
		scanAligned(p.r, int64(s.Offset), int64(min(s.Filesz, uint64(budget))), 4, func(off int64, b []byte) bool {
			if goMagic(b) == 0 {
				return true
			}
			candidates--
			in := uint64(off) - s.Offset
			if t := parseGoTable(p, f, off, int64(s.Filesz-in), s.Vaddr+in); t != nil && t.locate() {
				found = t
			}
			return found == nil && candidates > 0
		})
		budget -= int64(min(s.Filesz, uint64(budget)))
		if found != nil || candidates <= 0 || budget <= 0 {
			return found
		}
	}
	return nil
}

// goMagic returns the layout that the first 8 bytes of a header announce, or 0.
func goMagic(b []byte) goVersion {
	if len(b) < 8 || b[4] != 0 || b[5] != 0 || (b[6] != 1 && b[6] != 4) || (b[7] != 4 && b[7] != 8) {
		return 0
	}
	switch binary.LittleEndian.Uint32(b) {
	case 0xfffffffa:
		return go116
	case 0xfffffff0:
		return go118
	case 0xfffffff1:
		return go120
	}
	return 0
}

// scanAligned calls yield for every step bytes from off to off+n with the bytes
// there, at least 8, until yield returns false.
func scanAligned(r io.ReaderAt, off, n, step int64, yield func(off int64, b []byte) bool) {
	const chunk = 64 << 10
	buf := make([]byte, chunk+8)
	for done := int64(0); done < n; done += chunk {
		want := min(n-done, chunk+8)
		got, _ := r.ReadAt(buf[:want], off+done)
		for i := int64(0); i < chunk && i+8 <= int64(got); i += step {
			if !yield(off+done+i, buf[i:got]) {
				return
			}
		}
		if int64(got) < want {
			return
		}
	}
}

// parseGoTable reads the header at off of the file and checks what can be checked
// of it.
func parseGoTable(p *pages, f *file, off, size int64, vaddr uint64) *goTable {
	t := &goTable{pages: p, file: f, off: off, size: size, vaddr: vaddr}
	h := p.bytes(off, 8)
	if t.version = goMagic(h); t.version == 0 {
		return nil
	}
	t.quantum, t.ptr = uint64(h[6]), int(h[7])
	words := 8
	if t.version == go116 {
		words = 7
	}
	if t.at(8, words*t.ptr) == nil {
		return nil
	}
	word := func(i int) uint64 {
		v, _ := t.pointer(uint64(8 + i*t.ptr))
		return v
	}
	t.funcs = word(0)
	parts := 2
	if t.version >= go118 {
		parts = 3 // after what was the start of text until Go 1.26
	}
	t.names, t.units, t.files = word(parts), word(parts+1), word(parts+2)
	t.pcs, t.funcTab = word(parts+3), word(parts+4)
	if t.names > t.units || t.units > t.files || t.files > t.pcs || t.pcs > t.funcTab || t.funcTab >= uint64(size) {
		return nil
	}
	if t.funcs == 0 || t.funcs > maxGoFuncs || t.funcs*uint64(2*t.entrySize()) > uint64(size)-t.funcTab {
		return nil
	}
	first, ok1 := t.entry(0)
	last, ok2 := t.entry(t.funcs)
	if !ok1 || !ok2 || first >= last {
		return nil
	}
	t.end = last
	return t
}

// at returns n bytes at an offset of the table, or nil.
func (t *goTable) at(off uint64, n int) []byte {
	if !within(off, uint64(n), t.size) {
		return nil
	}
	return t.pages.bytes(t.off+int64(off), n)
}

func (t *goTable) u32(off uint64) (uint32, bool) {
	b := t.at(off, 4)
	if b == nil {
		return 0, false
	}
	return binary.LittleEndian.Uint32(b), true
}

func (t *goTable) pointer(off uint64) (uint64, bool) {
	if t.ptr == 4 {
		v, ok := t.u32(off)
		return uint64(v), ok
	}
	b := t.at(off, 8)
	if b == nil {
		return 0, false
	}
	return binary.LittleEndian.Uint64(b), true
}

// entrySize is half of a row of the function table, which pairs the entry of a
// function with the offset of what is known about it.
func (t *goTable) entrySize() int {
	if t.version == go116 {
		return t.ptr
	}
	return 4
}

// entry returns the entry of function i, relative to text. i == funcs is the end
// of the last one.
func (t *goTable) entry(i uint64) (uint64, bool) {
	off := t.funcTab + i*uint64(2*t.entrySize())
	if t.version == go116 {
		return t.pointer(off)
	}
	v, ok := t.u32(off)
	return uint64(v), ok
}

// function returns the index of the function that holds pc (relative to text).
func (t *goTable) function(pc uint64) (uint64, bool) {
	if pc >= t.end {
		return 0, false
	}
	lo, hi := uint64(0), t.funcs // entry(lo) <= pc < entry(hi)
	if e, ok := t.entry(0); !ok || pc < e {
		return 0, false
	}
	for hi-lo > 1 {
		mid := (lo + hi) / 2
		e, ok := t.entry(mid)
		if !ok {
			return 0, false
		}
		if e <= pc {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo, true
}

// memory counts the section headers, about 100 bytes each.
func (t *goTable) memory() int64 { return int64(len(t.file.sections)) * 100 }

func (t *goTable) release() {}

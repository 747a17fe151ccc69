package unwind

import "math"

// Layouts of .gopclntab by their magic numbers (internal/abi/symtab.go).
const (
	magicGo116 = 0xfffffffa // 1.16, 1.17: entries are addresses
	magicGo118 = 0xfffffff0
	magicGo120 = 0xfffffff1

	goHeader   = 8 // magic, two zeros, quantum, pointer size
	maxGoFuncs = 1 << 23
	maxGoName  = 48
	maxPCSP    = 1 << 16 // steps in one function
	maxSteps   = 1 << 25 // in all: functions can share their steps

	// goCode is how far into a function the frame pointer may be saved.
	goCode = 192
	// goPrologue is the number of changes of the frame size among which that is.
	goPrologue = 8

	flagTop     = 1 // internal/abi/symtab.go FuncFlagTopFrame, since 1.17
	flagSPWrite = 2
)

// goTable reads the parts of .gopclntab that say how large frames are.
// (pkg/symbolize reads the same table for names and lines.)
type goTable struct {
	f       *image
	arch    Arch
	magic   uint32
	quantum uint64
	vaddr   uint64
	text    uint64 // what entries are relative to
	n       uint64 // functions
	steps   int    // of all functions so far
	funcs   uint64 // offset of the table of functions, in the section

	tab, fn, pcsp, names, code *window
	codeBase                   uint64 // address of the first byte of code
}

// goRows compiles the table of a Go program.
func goRows(f *image, b *builder) {
	sec := f.section(".gopclntab")
	if sec == nil {
		sec = f.section(".data.rel.ro.gopclntab")
	}
	if sec == nil {
		return
	}
	t := newGoTable(f, sec)
	if t == nil {
		b.stats.Malformed++
		return
	}
	for i := uint64(0); i < t.n && !b.truncated; i++ {
		lo, ok1 := t.entry(i)
		hi, ok2 := t.entry(i + 1)
		if !ok1 || !ok2 {
			b.stats.Malformed++
			return
		}
		if lo >= b.opt.To {
			return
		}
		if hi > lo && hi > b.opt.From {
			t.function(i, lo, hi, b)
		}
	}
}

func newGoTable(f *image, sec *section) *goTable {
	t := &goTable{f: f, arch: f.arch, vaddr: sec.addr}
	t.tab = f.view(sec.off, sec.size, 14, 2)
	h := t.tab.bytes(0, goHeader+8*8)
	if h == nil || h[4] != 0 || h[5] != 0 || h[7] != 8 || (h[6] != 1 && h[6] != 4) {
		return nil
	}
	t.magic, t.quantum = le.Uint32(h), uint64(h[6])
	word := func(i int) uint64 { return le.Uint64(h[goHeader+8*i:]) }
	t.n = word(0)
	parts := 2 // after numbers of functions and files
	switch t.magic {
	case magicGo116:
	case magicGo118, magicGo120:
		parts = 3 // after the start of text, which is 0 since 1.26
	default:
		return nil
	}
	start, names, pcsp, funcs := word(2), word(parts), word(parts+3), word(parts+4)
	if names >= sec.size || pcsp >= sec.size || funcs >= sec.size || t.n == 0 || t.n > maxGoFuncs {
		return nil
	}
	t.funcs = funcs
	t.fn = f.view(sec.off+funcs, sec.size-funcs, 14, 4)
	t.pcsp = f.view(sec.off+pcsp, sec.size-pcsp, 14, 4)
	t.names = f.view(sec.off+names, sec.size-names, 12, 4)
	if t.magic != magicGo116 {
		if t.text = goText(f, sec, start); t.text == 0 {
			return nil
		}
	}
	return t
}

// entry returns the address of function i; i == n is the end of the last one.
func (t *goTable) entry(i uint64) (uint64, bool) {
	if t.magic == magicGo116 {
		b := t.tab.bytes(t.funcs+i*16, 8)
		if b == nil {
			return 0, false
		}
		return le.Uint64(b), true
	}
	b := t.tab.bytes(t.funcs+i*8, 4)
	if b == nil {
		return 0, false
	}
	return t.text + uint64(le.Uint32(b)), true
}

// goFunc is a struct _func (runtime/runtime2.go).
type goFunc struct {
	name uint32
	pcsp uint32
	flag uint8
	id   uint8
}

func (t *goTable) record(i uint64) (goFunc, bool) {
	var at uint64
	if t.magic == magicGo116 {
		b := t.tab.bytes(t.funcs+i*16+8, 8)
		if b == nil {
			return goFunc{}, false
		}
		at = le.Uint64(b)
	} else {
		b := t.tab.bytes(t.funcs+i*8+4, 4)
		if b == nil {
			return goFunc{}, false
		}
		at = uint64(le.Uint32(b))
	}
	// The entry is an address until 1.17; the line of the start came in 1.20. Between
	// it and the numbers are name, args, deferreturn, pcsp, pcfile, pcln, npcdata,
	// cuOffset.
	name, id := uint64(4), uint64(4+8*4)
	switch t.magic {
	case magicGo116:
		name, id = 8, 8+8*4
	case magicGo120:
		id += 4
	}
	pcsp := name + 12
	b := t.fn.bytes(at, id+4)
	if b == nil || at > math.MaxUint32 {
		return goFunc{}, false
	}
	return goFunc{name: le.Uint32(b[name:]), pcsp: le.Uint32(b[pcsp:]), id: b[id], flag: b[id+1]}, true
}

func (t *goTable) funcName(off uint32) string {
	b := t.names.tail(uint64(off), maxGoName)
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return ""
}

// span is a range of addresses with one size of the frame.
type goSpan struct {
	lo, hi uint64
	delta  int64
}

// spans decodes the stack sizes of one function: runtime/symtab.go, step. It
// returns false if they are malformed.
func (t *goTable) spans(off uint32, lo, hi uint64, out []goSpan) ([]goSpan, bool) {
	at, pc, value := uint64(off), lo, int64(-1)
	if off == 0 {
		return nil, false
	}
	for n := 0; pc < hi; n++ {
		delta, ok1 := t.varint(&at)
		t.steps++
		if !ok1 || n > maxPCSP || t.steps > maxSteps {
			return nil, false
		}
		if delta == 0 && n > 0 {
			break
		}
		value += int64(delta>>1) ^ -int64(delta&1)
		step, ok := t.varint(&at)
		if !ok {
			return nil, false
		}
		next := pc + uint64(step)*t.quantum
		if value < 0 || value > math.MaxInt32>>1 {
			return nil, false
		}
		if next > pc {
			out = append(out, goSpan{pc, min(next, hi), value})
		}
		pc = next
	}
	return out, true
}

func (t *goTable) varint(at *uint64) (uint32, bool) {
	var v uint32
	for shift := 0; shift < 35; shift += 7 {
		b := t.pcsp.from(*at)
		if len(b) == 0 {
			return 0, false
		}
		*at++
		v |= uint32(b[0]&0x7f) << shift
		if b[0]&0x80 == 0 {
			return v, true
		}
	}
	return 0, false
}

package unwind

import (
	"bytes"
	"debug/elf"
	"testing"
)

// initRule is the rule for an offset in a file that has nothing but an .init section.
func initRule(code []byte, at uint64) Rule {
	const addr = 0x1000
	n := uint64(len(code))
	f := &image{
		r: bytes.NewReader(code), size: int64(n), arch: AMD64,
		loads:    []segment{{typ: elf.PT_LOAD, flags: elf.PF_X, vaddr: addr, filesz: n, memsz: n}},
		sections: []section{{name: ".init", typ: elf.SHT_PROGBITS, flags: elf.SHF_ALLOC | elf.SHF_EXECINSTR, addr: addr, size: n}},
	}
	in := newInterner(limitRules)
	b := newBuilder(f, in, &rows{}, Options{}.normalized())
	pltRows(f, b)
	b.finish()
	return (&Table{Base: addr, Rules: in.rules, rows: b.rows}).Find(addr + at)
}

// _init as glibc's crti.S and crtn.S make it, with a call in between.
func TestInitHasRules(t *testing.T) {
	code := []byte{0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x83, 0xec, 0x08, 0xff, 0xd0, 0x48, 0x83, 0xc4, 0x08, 0xc3}
	for at, off := range map[uint64]int32{0: 8, 4: 8, 8: 16, 10: 16, 13: 16, 14: 8} {
		if got, want := initRule(code, at), (Rule{Kind: KindReg, Reg: amdRSP, Off: off}); got != want {
			t.Errorf("at +%d: %v, want %v", at, got, want)
		}
	}
	if got := initRule(code[4:], 4); got.Off != 16 {
		t.Errorf("without endbr64: %v", got)
	}
	other := append([]byte{0x50}, code[8:]...) // a push: not the frame that we know
	if got := initRule(other, 1); got != (Rule{}) {
		t.Errorf("unknown code got %v", got)
	}
}

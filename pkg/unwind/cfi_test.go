package unwind

import (
	"debug/elf"
	"testing"
)

// cfi builds a section with one CIE of version 1 for amd64, code alignment 1, data
// alignment -8, addresses encoded as enc, then FDEs.
func cfi(enc byte, more []byte, fdes ...[]byte) []byte {
	body := []byte{1, 'z', 'R', 0, 1, 0x78, 16, 1, enc, 0x0c, 7, 8, 0x90, 1}
	body = append(body, more...)
	out := le.AppendUint32(nil, uint32(4+len(body)))
	out = append(le.AppendUint32(out, 0), body...)
	for _, f := range fdes {
		head := le.AppendUint32(nil, uint32(4+len(f)))
		out = append(out, append(le.AppendUint32(head, uint32(len(out)+4)), f...)...)
	}
	return out
}

// fde is the part of an FDE after the reference to its CIE, with udata4 addresses.
func fde(lo, n uint32, code []byte) []byte {
	b := le.AppendUint32(le.AppendUint32(nil, lo), n)
	return append(append(b, 0), code...)
}

func TestInstructions(t *testing.T) {
	leaf := Rule{Kind: KindReg, Reg: 7, Off: 8}
	reg := func(r uint8, off int32) Rule { return Rule{Kind: KindReg, Reg: r, Off: off} }
	for _, c := range []struct {
		name string
		code []byte
		at   uint64
		want Rule
	}{
		{"initial", nil, 0x1000, leaf},
		{"end of function", nil, 0x1100, Rule{}},
		{"before", nil, 0xfff, Rule{}},
		{"push rbp", []byte{0x41, 0x0e, 0x10, 0x86, 2}, 0x1001, Rule{Kind: KindReg, Reg: 7, Off: 16, FP: FPSaved, FPOff: -16}},
		{"push rbx", []byte{0x41, 0x0e, 0x10, 0x83, 2}, 0x1001, Rule{Kind: KindReg, Reg: 7, Off: 16, BX: 1}},
		{"rbx far away", []byte{0x41, 0x0e, 0x10, 0x83, 20}, 0x1001, Rule{Kind: KindReg, Reg: 7, Off: 16, BX: BXLost}},
		{"before advance", []byte{0x41, 0x0e, 0x10}, 0x1000, leaf},
		{"remember and restore", []byte{0x41, 0x0a, 0x0e, 0x10, 0x41, 0x0b}, 0x1002, leaf},
		{"remembered", []byte{0x41, 0x0a, 0x0e, 0x10, 0x41, 0x0b}, 0x1001, reg(7, 16)},
		{"advance 1, 2, 4", []byte{2, 1, 3, 1, 0, 4, 1, 0, 0, 0, 0x0e, 0x20}, 0x1003, reg(7, 32)},
		{"restore", []byte{0x86, 2, 0x41, 0xc6}, 0x1001, leaf},
		{"def_cfa_register", []byte{0x0d, 10}, 0x1000, reg(10, 8)},
		{"def_cfa_sf", []byte{0x12, 7, 0x7e}, 0x1000, reg(7, 16)},
		{"same_value", []byte{0x86, 2, 0x41, 0x08, 6}, 0x1001, leaf},
		{"root", []byte{0x07, 16}, 0x1000, Rule{Kind: KindEnd}},
		{"return address in rdi", []byte{0x0e, 0, 0x09, 16, 5}, 0x1000, Rule{Kind: KindRAReg, Reg: 7, FPOff: 5}},
		{"return address lower", []byte{0x90, 2}, 0x1000, Rule{Kind: KindReg, Reg: 7, Off: 8, RA: RAAlone, FPOff: -16}},
		{"negative offset", []byte{0x2f, 6, 2}, 0x1000, Rule{Kind: KindReg, Reg: 7, Off: 8, FP: FPSaved, FPOff: 16}},
		{"args size", []byte{0x2e, 0x10}, 0x1000, leaf},
		{"drap", []byte{0x0f, 3, 0x76, 0x78, 0x06, 0x10, 6, 2, 0x76, 0}, 0x1000, Rule{Kind: KindDeref, Reg: 6, Off: joinHalves(-8, 0), FP: FPIndirect}},
		{"openssl", []byte{0x0f, 5, 0x77, 0x28, 0x06, 0x23, 8}, 0x1000, Rule{Kind: KindDeref, Reg: 7, Off: joinHalves(40, 8)}},
		{"bn_mul_mont", []byte{0x0f, 11, 0x77, 8, 0x79, 0, 0x38, 0x1e, 0x22, 0x06, 0x23, 8, 0x96}, 0x1000, Rule{Kind: KindIndexed, Reg: 7, Off: joinHalves(8, 8)}},
		{"frame pointer by expression", []byte{0x10, 6, 2, 0x77, 0x78}, 0x1000, Rule{Kind: KindReg, Reg: 7, Off: 8, FP: FPSaved, FPOff: -16}},
		{"frame pointer elsewhere", []byte{0x09, 6, 3}, 0x1000, Rule{Kind: KindReg, Reg: 7, Off: 8, FP: FPLost}},
		{"plt", []byte{0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22}, 0x1000, Rule{Kind: KindPLT, Reg: 7, Off: 8 | 15<<8 | 11<<16 | 3<<24}},
		{"unknown instruction", []byte{0x41, 0x3f}, 0x1001, Rule{}},
		{"before unknown instruction", []byte{0x41, 0x3f}, 0x1000, leaf},
		{"restore without remember", []byte{0x41, 0x0b}, 0x1001, Rule{}},
		{"unknown expression", []byte{0x0f, 1, 0x9c}, 0x1000, Rule{}},
		{"beyond the end", []byte{0x04, 0, 1, 0, 0, 0x0e, 0x10}, 0x1100, Rule{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			frame := cfi(0x03, nil, fde(0x1000, 0x100, c.code))
			for _, section := range []string{".eh_frame"} {
				tab := compileBytes(t, elfWith(elf.EM_X86_64, map[string][]byte{section: frame}), Options{})
				if got := tab.Find(c.at); got != c.want {
					t.Errorf("%s: %v, want %v", section, got, c.want)
				}
			}
		})
	}
}

// TestOverlap: the later start wins from there on, the first of two that start
// together, functions of no length and outside of code are ignored, small gaps
// closed, large ones kept.
func TestOverlap(t *testing.T) {
	code := func(off byte) []byte { return []byte{0x0e, off} }
	frame := cfi(0x03, nil,
		fde(0x1300, 0x10, code(80)), fde(0x1000, 0x100, code(16)), fde(0x1080, 0x10, code(24)), fde(0x1080, 0x200, code(32)),
		fde(0x1200, 0, code(40)), fde(0x9000, 0x100, code(48)), fde(0x1208, 0x08, code(56)), fde(0x1218, 0x08, code(64)),
		fde(0x1ff0, 0x100, code(72)))
	tab := compileBytes(t, elfWith(elf.EM_X86_64, map[string][]byte{".eh_frame": frame}), Options{})
	for at, want := range map[uint64]int32{
		0x1000: 16, 0x107f: 16, 0x1080: 24, 0x108f: 24, 0x1090: 0, 0x10ff: 0, 0x1200: 0, 0x1208: 56, 0x1210: 56, 0x1217: 56, 0x1218: 64,
		0x1220: 0, 0x1300: 80, 0x1310: 0, 0x1ff0: 72, 0x1fff: 72, 0x2000: 0, 0x9000: 0,
	} {
		if got := tab.Find(at); got.Off != want {
			t.Errorf("%#x: %v, want offset %d", at, got, want)
		}
	}
	if n := tab.Stats.Sources[SourceEHFrame]; n.Functions != 6 || n.Dropped != 2 {
		t.Errorf("%+v", n)
	}
}

func TestLimits(t *testing.T) {
	code := []byte{0x41, 0x0e, 16, 0x41, 0x0e, 24, 0x41, 0x0e, 32, 0x41, 0x0e, 40}
	b := elfWith(elf.EM_X86_64, map[string][]byte{".eh_frame": cfi(0x03, nil, fde(0x1000, 0x100, code), fde(0x1200, 0x100, code))})
	if tab := compileBytes(t, b, Options{MaxRows: 4}); tab.Len() != 4 || !tab.Stats.Truncated || tab.Find(0x1000).Off != 8 || tab.Find(0x10ff).Kind != KindNone {
		t.Errorf("%d rows, %+v", tab.Len(), tab.Stats)
	}
	tab := compileBytes(t, b, Options{MaxRules: 3})
	if len(tab.Rules) != 3 || tab.Find(0x1001).Off != 16 || tab.Find(0x1003).Kind != KindNone || tab.Stats.Sources[SourceEHFrame].Gaps[GapRules] != 2*0xfe {
		t.Errorf("%v %+v", tab.Rules, tab.Stats)
	}
	if tab := compileBytes(t, b, Options{From: 0x1250, To: 0x1260}); tab.Find(0x1000).Kind != KindNone || tab.Find(0x1201).Off != 16 {
		t.Errorf("selection: %v %v", tab.Find(0x1000), tab.Find(0x1201))
	}
}

// TestSignalARM64: the vDSO's trampoline is known by the augmentation S alone.
func TestSignalARM64(t *testing.T) {
	body := []byte{1, 'z', 'R', 'S', 0, 4, 0x78, 30, 1, 0x03, 0x0c, 31, 0}
	frame := append(le.AppendUint32(le.AppendUint32(nil, uint32(4+len(body))), 0), body...)
	f := fde(0x1000, 0x10, []byte{0x0c, 29, 0, 0x9d, 0, 0x9e, 0x7f})
	head := le.AppendUint32(le.AppendUint32(nil, uint32(4+len(f))), uint32(len(frame)+4))
	frame = append(append(frame, head...), f...)
	tab := compileBytes(t, elfWith(elf.EM_AARCH64, map[string][]byte{".eh_frame": frame}), Options{})
	if got := tab.Find(0x1008); got.Kind != KindSignal {
		t.Error(got)
	}
}

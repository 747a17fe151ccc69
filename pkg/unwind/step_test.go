package unwind

import (
	"debug/elf"
	"testing"
)

// words is memory that has what it was given.
func words8(m map[uint64]uint64) Memory {
	return func(a uint64) (uint64, bool) { v, ok := m[a]; return v, ok }
}

func regsAt(a Arch, pc, sp, fp uint64, exact bool) Regs {
	r := Regs{PC: pc, Exact: exact}
	r.set(a.SP(), sp)
	r.set(a.FP(), fp)
	return r
}

func TestStep(t *testing.T) {
	const sp, fp = 0x7000, 0x7100
	mem := words8(map[uint64]uint64{
		0x7000: 0x111, 0x7008: 0x222, 0x7010: 0x333, 0x7018: 0x0044_8000_0000_0444, 0x70f8: 0x7200, 0x7100: 0x7300, 0x7108: 0x555,
		0x71f8: 0x666, 0x7030: 0,
	})
	leaf := regsAt(AMD64, 0x400000, sp, fp, true)
	leaf.set(5, 0x999)
	leaf.set(9, 30)
	caller := regsAt(AMD64, 0x400000, sp, fp, false)
	armLeaf := regsAt(ARM64, 0x400000, sp, fp, true)
	armLeaf.set(armLR, 0x777)
	for _, c := range []struct {
		name     string
		arch     Arch
		rule     Rule
		regs     Regs
		why      Reason
		pc, cfa  uint64
		fp       uint64
		fpHidden bool
	}{
		{"none", AMD64, Rule{}, leaf, StepNoRule, 0, 0, 0, false},
		{"root", AMD64, Rule{Kind: KindEnd}, leaf, StepComplete, 0, 0, 0, false},
		{"leaf", AMD64, Rule{Kind: KindReg, Reg: 7, Off: 8}, leaf, StepOK, 0x111, 0x7008, fp, false},
		{"frame pointer", AMD64, Rule{Kind: KindReg, Reg: 6, Off: 16, FP: FPSaved, FPOff: -16}, caller, StepOK, 0x555, 0x7110, 0x7300, false},
		{"lost", AMD64, Rule{Kind: KindReg, Reg: 7, Off: 16, FP: FPLost}, caller, StepOK, 0x222, 0x7010, 0, true},
		{"drap", AMD64, Rule{Kind: KindDeref, Reg: 6, Off: joinHalves(-8, 0), FP: FPIndirect}, caller, StepOK, 0x666, 0x7200, 0x7300, false},
		{"indexed", AMD64, Rule{Kind: KindIndexed, Reg: 7, Off: joinHalves(8, 0)}, leaf, StepOK, 0x666, 0x7200, fp, false},
		{"indexed in a caller", AMD64, Rule{Kind: KindIndexed, Reg: 7, Off: joinHalves(8, 0)}, caller, StepRegister, 0, 0, 0, false},
		{"vfork", AMD64, Rule{Kind: KindRAReg, Reg: 7, FPOff: 5}, leaf, StepOK, 0x999, sp, fp, false},
		{"vfork in a caller", AMD64, Rule{Kind: KindRAReg, Reg: 7, Off: 8, FPOff: 5}, caller, StepRegister, 0, 0, 0, false},
		{"no such memory", AMD64, Rule{Kind: KindReg, Reg: 7, Off: 0x800}, leaf, StepUnreadable, 0, 0, 0, false},
		{"register of a leaf", AMD64, Rule{Kind: KindReg, Reg: 10, Off: 8}, caller, StepRegister, 0, 0, 0, false},
		{"downwards", AMD64, Rule{Kind: KindReg, Reg: 7, Off: -8}, leaf, StepStack, 0, 0, 0, false},
		{"nowhere", AMD64, Rule{Kind: KindReg, Reg: 7}, caller, StepStack, 0, 0, 0, false},
		{"other stack", AMD64, Rule{Kind: KindSwitch, Reg: 6, Off: 16, FP: FPSaved, FPOff: -16}, regsAt(AMD64, 1, 0x9000, fp, false), StepOK, 0x555, 0x7110, 0x7300, false},
		{"zero", AMD64, Rule{Kind: KindReg, Reg: 7, Off: 0x38}, leaf, StepZero, 0, 0, 0, false},
		{"plt pushed", AMD64, Rule{Kind: KindPLT, Reg: 7, Off: 8 | 15<<8 | 11<<16 | 3<<24}, regsAt(AMD64, 0x100b, sp, fp, true), StepOK, 0x222, 0x7010, fp, false},
		{"plt entered", AMD64, Rule{Kind: KindPLT, Reg: 7, Off: 8 | 15<<8 | 11<<16 | 3<<24}, regsAt(AMD64, 0x1006, sp, fp, true), StepOK, 0x111, 0x7008, fp, false},
		{"arm leaf", ARM64, Rule{Kind: KindReg, Reg: 31}, armLeaf, StepOK, 0x777, sp, fp, false},
		{"arm leaf in a caller", ARM64, Rule{Kind: KindReg, Reg: 31, Off: 16}, regsAt(ARM64, 1, sp, fp, false), StepRegister, 0, 0, 0, false},
		{"arm pair", ARM64, Rule{Kind: KindReg, Reg: 31, Off: 32, RA: RAPair, FP: FPSaved, FPOff: -32}, regsAt(ARM64, 1, sp, fp, false), StepOK, 0x222, 0x7020, 0x111, false},
		{"arm signed", ARM64, Rule{Kind: KindReg, Reg: 31, Off: 32, RA: RAAlone, FPOff: -8}, regsAt(ARM64, 1, sp, fp, false), StepOK, 0x8000_0000_0444, 0x7020, fp, false},
		{"arm split", ARM64, Rule{Kind: KindReg, Reg: 31, Off: joinHalves(32, -16), RA: RASplit, FP: FPSaved, FPOff: -24}, regsAt(ARM64, 1, sp, fp, false), StepOK, 0x333, 0x7020, 0x222, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			next, why := c.rule.Step(c.arch, c.regs, mem)
			if why != c.why {
				t.Fatalf("%v: %v, want %v", c.rule, why, c.why)
			}
			if why != StepOK {
				return
			}
			cfa, _ := next.get(c.arch.SP())
			up, known := next.get(c.arch.FP())
			if next.PC != c.pc || cfa != c.cfa || known == c.fpHidden || known && up != c.fp || next.Exact {
				t.Errorf("%v: pc %#x cfa %#x fp %#x %v", c.rule, next.PC, cfa, up, known)
			}
		})
	}
}

func TestStepSignal(t *testing.T) {
	const sp = 0x10000
	for _, arch := range []Arch{AMD64, ARM64} {
		m := map[uint64]uint64{}
		for i := range uint64(200) {
			m[sp+8*i] = 8 * i
		}
		next, why := Rule{Kind: KindSignal}.Step(arch, regsAt(arch, 1, sp, 2, false), words8(m))
		if why != StepOK || !next.Exact || next.Lookup() != next.PC {
			t.Fatal(why, next)
		}
		// Offsets that asm/sigcontext.h has on these machines.
		want := map[string][2]uint64{"pc": {168, next.PC}, "sp": {160, next.R[amdRSP]}, "fp": {120, next.R[amdRBP]}, "r8": {40, next.R[8]}}
		if arch == ARM64 {
			want = map[string][2]uint64{"pc": {568, next.PC}, "sp": {560, next.R[31]}, "fp": {544, next.R[29]}, "x0": {312, next.R[0]}}
		}
		for name, w := range want {
			if w[0] != w[1] {
				t.Errorf("%v %s from %d, want %d", arch, name, w[1], w[0])
			}
		}
	}
}

func TestStepFramePointer(t *testing.T) {
	mem := words8(map[uint64]uint64{0x7100: 0x7200, 0x7108: 0x555, 0x7200: 0, 0x7208: 0})
	next, why := StepFramePointer(AMD64, regsAt(AMD64, 1, 0x7000, 0x7100, true), mem)
	if why != StepOK || next.PC != 0x555 || next.R[amdRSP] != 0x7110 || next.R[amdRBP] != 0x7200 {
		t.Error(why, next)
	}
	for fp, want := range map[uint64]Reason{0: StepZero, 0x7101: StepStack, 0x6000: StepStack, 0x7200: StepZero, 0x7300: StepUnreadable} {
		if _, why := StepFramePointer(AMD64, regsAt(AMD64, 1, 0x7000, fp, true), mem); why != want {
			t.Errorf("%#x: %v, want %v", fp, why, want)
		}
	}
}

// TestPLT: stubs of linkers that describe none.
func TestPLT(t *testing.T) {
	tab := compileBytes(t, elfWithPLT(), Options{})
	base := tab.Base
	if got := tab.Find(base + 0x800); got.Off != 16 {
		t.Error(got)
	}
	if got := tab.Find(base + 0x810); got.Kind != KindPLT {
		t.Error(got)
	}
	if got := tab.Find(base + 0x840); got.Kind != KindNone {
		t.Error(got)
	}
}

// elfWithPLT has a .plt of 64 bytes in the executable segment.
func elfWithPLT() []byte {
	b := elfWith(elf.EM_X86_64, map[string][]byte{".plt": make([]byte, 64)})
	shoff, n := le.Uint64(b[40:]), int(le.Uint16(b[60:]))
	le.PutUint64(b[24:], 0) // no entry
	at := b[shoff+uint64(n-2)*64:]
	le.PutUint64(at[8:], uint64(elf.SHF_ALLOC|elf.SHF_EXECINSTR))
	le.PutUint64(at[16:], 0x1800)
	return b
}

package probesite

import (
	"encoding/binary"
	"strings"

	"golang.org/x/arch/arm64/arm64asm"
)

type arm64 struct{}

func (arm64) step() int { return 4 }

func (arm64) decode(code []byte) (instruction, bool) {
	if len(code) < 4 {
		return instruction{}, false
	}
	if w := binary.LittleEndian.Uint32(code); w&0xfffff01f == 0xd503201f { // HINT: NOP, BTI, PACIASP and others
		return instruction{size: 4, text: "HINT", movesReturn: w>>5&0x7c == 24}, true // 24 to 27: the return address is signed
	}
	ins, err := arm64asm.Decode(code)
	if err != nil {
		return instruction{}, false
	}
	i := instruction{size: 4, text: ins.String(), emulated: emulatedARM64(ins.Op), refused: refusedARM64(ins.Op)}
	for _, a := range ins.Args {
		if rel, ok := a.(arm64asm.PCRel); ok && ins.Op != arm64asm.BL && branchARM64(ins.Op) {
			i.jumps, i.target = true, int(rel)
		}
	}
	i.ends = branchARM64(ins.Op)
	i.opaque = !knownARM64(ins.Op)
	i.writes = writesARM64(ins)
	return i, true
}

// emulatedARM64 is what every kernel from 4.10 on simulates (arch/arm64/kernel/probes/decode-insn.c).
func emulatedARM64(op arm64asm.Op) bool {
	return branchARM64(op) || op == arm64asm.ADR || op == arm64asm.ADRP
}

func branchARM64(op arm64asm.Op) bool {
	switch op {
	case arm64asm.B, arm64asm.BL, arm64asm.BR, arm64asm.BLR, arm64asm.RET, arm64asm.CBZ, arm64asm.CBNZ, arm64asm.TBZ, arm64asm.TBNZ:
		return true
	}
	return false
}

// refusedARM64 is what the kernel does not probe (aarch64_insn_is_steppable): exceptions, exclusive access, and what
// reads or writes system registers.
func refusedARM64(op arm64asm.Op) bool {
	switch op {
	case arm64asm.SVC, arm64asm.HVC, arm64asm.SMC, arm64asm.BRK, arm64asm.HLT, arm64asm.ERET, arm64asm.DRPS, arm64asm.MRS, arm64asm.MSR:
		return true
	}
	name := op.String()
	return strings.HasPrefix(name, "LDX") || strings.HasPrefix(name, "STX") || strings.HasPrefix(name, "LDAX") ||
		strings.HasPrefix(name, "STLX") || strings.HasPrefix(name, "DCPS")
}

// knownARM64 reports whether an operation changes no register but those that writesARM64 tells of.
func knownARM64(op arm64asm.Op) bool {
	switch op {
	case arm64asm.MOV, arm64asm.MOVZ, arm64asm.MOVK, arm64asm.MOVN, arm64asm.ADD, arm64asm.ADDS, arm64asm.SUB, arm64asm.SUBS,
		arm64asm.AND, arm64asm.ANDS, arm64asm.ORR, arm64asm.EOR, arm64asm.CMP, arm64asm.CMN, arm64asm.TST, arm64asm.STP,
		arm64asm.STR, arm64asm.STUR, arm64asm.STRB, arm64asm.LDP, arm64asm.LDR, arm64asm.LDUR, arm64asm.LDRB, arm64asm.LSL,
		arm64asm.LSR, arm64asm.ASR, arm64asm.UBFM, arm64asm.SBFM, arm64asm.UBFX, arm64asm.CSEL, arm64asm.CSINC, arm64asm.CSET,
		arm64asm.CCMP, arm64asm.MVN, arm64asm.NEG, arm64asm.ADR, arm64asm.ADRP, arm64asm.SXTW:
		return true
	}
	return false
}

// writesARM64 tells which of the argument registers x0 to x7 (AAPCS64, 6.8.2) change.
func writesARM64(ins arm64asm.Inst) (args uint) {
	written := 1
	switch ins.Op {
	case arm64asm.CMP, arm64asm.CMN, arm64asm.TST, arm64asm.CCMP, arm64asm.STP, arm64asm.STR, arm64asm.STUR, arm64asm.STRB:
		written = 0
	case arm64asm.LDP:
		written = 2
	}
	for n, a := range ins.Args {
		switch a := a.(type) {
		case arm64asm.Reg:
			if n < written {
				args |= argARM64(a)
			}
		case arm64asm.RegSP:
			if n < written {
				args |= argARM64(arm64asm.Reg(a))
			}
		case arm64asm.MemImmediate: // with write-back, the base changes too
			if a.Mode == arm64asm.AddrPreIndex || a.Mode == arm64asm.AddrPostIndex || a.Mode == arm64asm.AddrPostReg {
				args |= argARM64(arm64asm.Reg(a.Base))
			}
		}
	}
	return args
}

func argARM64(r arm64asm.Reg) uint {
	switch {
	case r >= arm64asm.X0 && r <= arm64asm.X7:
		return 1 << (r - arm64asm.X0)
	case r >= arm64asm.W0 && r <= arm64asm.W7:
		return 1 << (r - arm64asm.W0)
	}
	return 0
}

// slotARM64: ADRP X16, LDR X17 from there, ADD, BR X17, behind BTI (ELF for AArch64, 9.1).
func slotARM64(code []byte, vaddr uint64) (uint64, bool) {
	var page uint64
	for at := 0; at+4 <= len(code) && at < 16; at += 4 {
		ins, err := arm64asm.Decode(code[at:])
		if err != nil {
			continue
		}
		switch ins.Op {
		case arm64asm.ADRP:
			if rel, ok := ins.Args[1].(arm64asm.PCRel); ok {
				page = (vaddr+uint64(at))&^0xfff + uint64(rel)
			}
		case arm64asm.LDR:
			// The immediate is not exported: LDR (immediate, unsigned offset), 64-bit, scales 12 bits by 8.
			w := binary.LittleEndian.Uint32(code[at:])
			if page != 0 && w&0xffc00000 == 0xf9400000 {
				return page + uint64(w>>10&0xfff)*8, true
			}
		}
	}
	return 0, false
}

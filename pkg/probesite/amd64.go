package probesite

import (
	"strings"

	"golang.org/x/arch/x86/x86asm"
)

type amd64 struct{}

func (amd64) step() int { return 1 }

const prefixLock, prefixOpSize = 0xf0, 0x66

func (amd64) decode(code []byte) (instruction, bool) {
	if n := endbr(code); n > 0 {
		return instruction{size: n, text: "ENDBR64"}, true
	}
	ins, err := x86asm.Decode(code, 64)
	if err != nil || ins.Len == 0 || ins.Op == 0 {
		return instruction{}, false
	}
	raw := code[:ins.Len]
	i := instruction{size: ins.Len, text: ins.String()}
	i.nop5 = ins.Op == x86asm.NOP && ins.Len == 5
	i.emulated = emulatedAMD64(raw, ins)
	i.refused = refusedAMD64(raw, ins)
	if rel, ok := ins.Args[0].(x86asm.Rel); ok && ins.Op != x86asm.CALL {
		i.jumps, i.target = true, ins.Len+int(rel)
	}
	switch ins.Op {
	case x86asm.JMP, x86asm.RET, x86asm.LRET, x86asm.CALL, x86asm.LCALL, x86asm.LJMP, x86asm.INT, x86asm.INTO, x86asm.UD2,
		x86asm.HLT, x86asm.SYSCALL, x86asm.SYSENTER, x86asm.IRET, x86asm.IRETD, x86asm.IRETQ, x86asm.XBEGIN:
		i.ends = true
	default:
		i.ends = i.jumps
	}
	i.opaque = !knownAMD64(ins.Op)
	i.writes, i.movesReturn = writesAMD64(ins)
	return i, true
}

// endbr is the size of ENDBR64 or ENDBR32 at the start of code, which older decoders do not know (Intel SDM, volume 2).
func endbr(code []byte) int {
	if len(code) >= 4 && code[0] == 0xf3 && code[1] == 0x0f && code[2] == 0x1e && (code[3] == 0xfa || code[3] == 0xfb) {
		return 4
	}
	return 0
}

// emulatedAMD64 is what every kernel from 4.17 on emulates (arch/x86/kernel/uprobes.c: branch_setup_xol_ops and
// push_setup_xol_ops): NOP of one byte behind any prefixes, relative JMP, Jcc and CALL without a size prefix, and PUSH of
// a register. Later kernels emulate more; to rely on that would make a probe dear on the others.
func emulatedAMD64(raw []byte, ins x86asm.Inst) bool {
	op := raw
	sized := false
	for len(op) > 1 && legacyPrefix(op[0]) {
		sized = sized || op[0] == prefixOpSize
		op = op[1:]
	}
	rex := len(op) > 1 && op[0]&0xf0 == 0x40
	if rex {
		op = op[1:]
	}
	switch {
	case op[0] == 0x90:
		return ins.Op == x86asm.NOP
	case op[0] == 0xeb, op[0] == 0xe9, op[0] == 0xe8, op[0]&0xf0 == 0x70:
		return !sized
	case op[0] == 0x0f && len(op) > 1 && op[1]&0xf0 == 0x80:
		return !sized
	case op[0]&0xf8 == 0x50: // alone, or behind REX.B
		return len(raw) == 1 || len(raw) == 2 && raw[0] == 0x41
	}
	return false
}

func legacyPrefix(b byte) bool {
	switch b {
	case 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3:
		return true
	}
	return false
}

// refusedAMD64 is what the kernel does not probe (uprobe_init_insn and is_prefix_bad): segment overrides of 32-bit code,
// LOCK, and what is privileged or traps by itself.
func refusedAMD64(raw []byte, ins x86asm.Inst) bool {
	for _, b := range raw {
		if !legacyPrefix(b) {
			break
		}
		switch b {
		case 0x26, 0x2e, 0x36, 0x3e, prefixLock:
			return true
		}
	}
	switch ins.Op {
	case x86asm.INT, x86asm.INTO, x86asm.HLT, x86asm.IN, x86asm.OUT, x86asm.INSB, x86asm.INSD, x86asm.INSW, x86asm.OUTSB,
		x86asm.OUTSD, x86asm.OUTSW, x86asm.CLI, x86asm.STI, x86asm.IRET, x86asm.IRETD, x86asm.IRETQ, x86asm.SYSENTER,
		x86asm.SYSEXIT, x86asm.SYSRET, x86asm.UD1, x86asm.UD2:
		return true
	}
	return false
}

// knownAMD64 reports whether an operation changes no register but its first operand.
func knownAMD64(op x86asm.Op) bool {
	switch op {
	case x86asm.MOV, x86asm.MOVZX, x86asm.MOVSX, x86asm.MOVSXD, x86asm.LEA, x86asm.CMP, x86asm.TEST, x86asm.PUSH, x86asm.SUB,
		x86asm.ADD, x86asm.AND, x86asm.OR, x86asm.XOR, x86asm.SHR, x86asm.SHL, x86asm.SAR, x86asm.NOP, x86asm.INC, x86asm.DEC,
		x86asm.NEG, x86asm.NOT, x86asm.BT, x86asm.BSR, x86asm.BSF, x86asm.MOVAPS, x86asm.MOVUPS, x86asm.MOVQ, x86asm.MOVD,
		x86asm.MOVDQA, x86asm.MOVDQU, x86asm.PXOR, x86asm.XORPS, x86asm.ADC, x86asm.SBB, x86asm.ROL, x86asm.ROR:
		return true
	}
	name := op.String()
	return strings.HasPrefix(name, "SET") || strings.HasPrefix(name, "CMOV")
}

// argsAMD64 are the integer argument registers (System V ABI for AMD64, 3.2.3), by their number in the encoding.
func argsAMD64(r x86asm.Reg) (int, bool) {
	switch r {
	case x86asm.RDI, x86asm.EDI, x86asm.DI, x86asm.DIB:
		return 0, true
	case x86asm.RSI, x86asm.ESI, x86asm.SI, x86asm.SIB:
		return 1, true
	case x86asm.RDX, x86asm.EDX, x86asm.DX, x86asm.DL, x86asm.DH:
		return 2, true
	case x86asm.RCX, x86asm.ECX, x86asm.CX, x86asm.CL, x86asm.CH:
		return 3, true
	case x86asm.R8, x86asm.R8L, x86asm.R8W, x86asm.R8B:
		return 4, true
	case x86asm.R9, x86asm.R9L, x86asm.R9W, x86asm.R9B:
		return 5, true
	}
	return 0, false
}

// writesAMD64 tells which argument registers change, and whether the stack pointer does: the return address is where it
// points to at the entry.
func writesAMD64(ins x86asm.Inst) (args uint, stack bool) {
	switch ins.Op {
	case x86asm.PUSH:
		return 0, true
	case x86asm.CMP, x86asm.TEST, x86asm.NOP, x86asm.BT:
		return 0, false
	}
	r, ok := ins.Args[0].(x86asm.Reg)
	if !ok {
		return 0, false
	}
	if n, ok := argsAMD64(r); ok {
		args = 1 << n
	}
	return args, r == x86asm.RSP || r == x86asm.ESP || r == x86asm.SP
}

// slotAMD64: JMP through memory relative to RIP, behind marks (System V ABI for AMD64, 5.2).
func slotAMD64(code []byte, vaddr uint64) (uint64, bool) {
	at := endbr(code)
	ins, err := x86asm.Decode(code[at:], 64)
	if err != nil || ins.Op != x86asm.JMP {
		return 0, false
	}
	m, ok := ins.Args[0].(x86asm.Mem)
	if !ok || m.Base != x86asm.RIP || m.Index != 0 {
		return 0, false
	}
	return vaddr + uint64(at+ins.Len) + uint64(m.Disp), true
}

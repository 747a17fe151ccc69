package unwind

// Reason says how a step went.
type Reason uint8

const (
	// StepOK: the registers returned are the caller's.
	StepOK Reason = iota
	// StepComplete: this frame is the root.
	StepComplete
	// StepNoRule: nothing is known about this address.
	StepNoRule
	// StepUnreadable: stack memory could not be read.
	StepUnreadable
	// StepRegister: the rule needs a register whose value in this frame is unknown.
	StepRegister
	// StepStack: the rule leads down the stack or to no address. It is wrong here, or
	// the stack is damaged.
	StepStack
	// StepZero: the return address is 0, which ends the stacks of some runtimes.
	StepZero
)

func (r Reason) String() string {
	names := [...]string{"ok", "complete", "no rule", "unreadable", "register unknown", "stack implausible", "zero return address"}
	if int(r) < len(names) {
		return names[r]
	}
	return "invalid"
}

// Memory reads 8 bytes of the target's memory.
type Memory func(addr uint64) (uint64, bool)

// Regs are the registers of one frame.
type Regs struct {
	PC uint64
	// R is indexed by DWARF number, stack pointer included.
	R [32]uint64
	// Known has a bit for each valid element of R.
	Known uint32
	// Exact tells that PC is the next instruction to run, as in the leaf and in a
	// frame that a signal interrupted. Otherwise PC is a return address.
	Exact bool
}

// Lookup returns the address to look rules up with: a call may be the last
// instruction of its function.
func (r *Regs) Lookup() uint64 {
	if r.Exact {
		return r.PC
	}
	return r.PC - 1
}

func (r *Regs) get(n uint8) (uint64, bool) {
	if n >= 32 || r.Known>>n&1 == 0 {
		return 0, false
	}
	return r.R[n], true
}

func (r *Regs) set(n uint8, v uint64) {
	r.R[n] = v
	r.Known |= 1 << n
}

// Offsets from the stack pointer in a signal handler's return trampoline.
// amd64: struct ucontext {flags, link, stack; sigcontext} of
// arch/x86/include/uapi/asm/sigcontext.h. arm64: struct rt_sigframe {siginfo 128;
// ucontext, sigcontext at 176} of arch/arm64/kernel/signal.c; then fault_address.
const (
	amdSignalR8  = 40
	amdSignalRIP = 168
	armSignalX0  = 128 + 176 + 8
	armSignalPC  = armSignalX0 + 32*8
)

// amdSignalRegs are the DWARF numbers in the order of struct sigcontext.
var amdSignalRegs = [16]uint8{8, 9, 10, 11, 12, 13, 14, 15, amdRDI, amdRSI, amdRBP, amdRBX, amdRDX, amdRAX, amdRCX, amdRSP}

func signalFrame(a Arch, sp uint64, mem Memory) (Regs, Reason) {
	var next Regs
	first, pc, n := uint64(amdSignalR8), uint64(amdSignalRIP), 16
	if a == ARM64 {
		first, pc, n = armSignalX0, armSignalPC, 32
	}
	for i := range n {
		v, ok := mem(sp + first + uint64(i)*8)
		if !ok {
			return Regs{}, StepUnreadable
		}
		if a == ARM64 {
			next.set(uint8(i), v)
		} else {
			next.set(amdSignalRegs[i], v)
		}
	}
	v, ok := mem(sp + pc)
	if !ok {
		return Regs{}, StepUnreadable
	}
	next.PC, next.Exact = v, true
	return next, StepOK
}

// Step goes from a frame to its caller by the rule for regs.Lookup(). Without
// StepOK the registers returned mean nothing. It is the specification of the walker
// in the kernel.
func (r Rule) Step(a Arch, regs Regs, mem Memory) (Regs, Reason) {
	sp, ok := regs.get(a.SP())
	if !ok {
		return Regs{}, StepRegister
	}
	switch r.Kind {
	case KindEnd:
		return Regs{}, StepComplete
	case KindSignal:
		return signalFrame(a, sp, mem)
	}
	cfa, reason := r.cfa(sp, regs, mem)
	if reason != StepOK {
		return Regs{}, reason
	}
	if r.Kind != KindSwitch && (cfa < sp || cfa == sp && !regs.Exact) {
		return Regs{}, StepStack
	}
	pc, reason := r.returnAddress(a, cfa, regs, mem)
	if reason != StepOK {
		return Regs{}, reason
	}
	if pc == 0 {
		return Regs{}, StepZero
	}
	next := Regs{PC: pc}
	next.set(a.SP(), cfa)
	fp, known := regs.get(a.FP())
	switch r.FP {
	case FPSaved:
		fp, known = mem(cfa + uint64(int64(r.FPOff)))
	case FPIndirect:
		if known {
			fp, known = mem(fp + uint64(int64(r.FPOff)))
		}
	case FPLost:
		known = false
	}
	// A frame pointer that cannot be read is missed only by a rule that needs it.
	if known {
		next.set(a.FP(), fp)
	}
	if a == AMD64 {
		bx, known := regs.get(amdRBX)
		if r.BX == BXLost {
			known = false
		} else if r.BX != BXSame {
			bx, known = mem(cfa + uint64(r.bxOff()))
		}
		if known {
			next.set(amdRBX, bx)
		}
	}
	return next, StepOK
}

func (r Rule) cfa(sp uint64, regs Regs, mem Memory) (uint64, Reason) {
	if r.Kind == KindPLT {
		base, mask, threshold, shift := uint8(r.Off), uint8(r.Off>>8), uint8(r.Off>>16), uint8(r.Off>>24)
		add := uint64(0)
		if uint8(regs.PC)&mask >= threshold {
			add = 1 << (shift & 7)
		}
		return sp + uint64(base) + add, StepOK
	}
	v, ok := regs.get(r.Reg)
	switch r.Kind {
	case KindReg, KindRAReg, KindSwitch:
		if !ok {
			return 0, StepRegister
		}
		return v + uint64(r.cfaOff()), StepOK
	case KindDeref, KindIndexed:
		if !ok {
			return 0, StepRegister
		}
		lo, hi := r.halves()
		if r.Kind == KindIndexed {
			index, ok := regs.get(amdIndex)
			if !ok {
				return 0, StepRegister
			}
			v += 8 * index
		}
		v, ok = mem(v + uint64(int64(lo)))
		if !ok {
			return 0, StepUnreadable
		}
		return v + uint64(int64(hi)), StepOK
	}
	return 0, StepNoRule
}

func (r Rule) returnAddress(a Arch, cfa uint64, regs Regs, mem Memory) (uint64, Reason) {
	reg, inReg := uint8(0), false
	if r.Kind == KindRAReg {
		reg, inReg = uint8(r.FPOff), true
	} else if a == ARM64 && r.RA == RADefault {
		reg, inReg = armLR, true
	}
	var pc uint64
	var ok bool
	if inReg {
		if pc, ok = regs.get(reg); !ok {
			return 0, StepRegister
		}
	} else if pc, ok = mem(cfa + uint64(r.raOff())); !ok {
		return 0, StepUnreadable
	}
	return a.plainAddress(pc), StepOK
}

// plainAddress removes a pointer authentication code.
func (a Arch) plainAddress(pc uint64) uint64 {
	if a == ARM64 {
		return pc & (1<<48 - 1)
	}
	return pc
}

// StepFramePointer goes to the caller by the frame record that the frame pointer
// points to, for addresses without a rule. The caller must check that the address
// found is code.
func StepFramePointer(a Arch, regs Regs, mem Memory) (Regs, Reason) {
	sp, ok := regs.get(a.SP())
	fp, known := regs.get(a.FP())
	switch {
	case !ok || !known:
		return Regs{}, StepRegister
	case fp == 0:
		return Regs{}, StepZero
	case fp&7 != 0 || fp < sp:
		return Regs{}, StepStack
	}
	up, ok1 := mem(fp)
	pc, ok2 := mem(fp + 8)
	if !ok1 || !ok2 {
		return Regs{}, StepUnreadable
	}
	if pc == 0 {
		return Regs{}, StepZero
	}
	next := Regs{PC: a.plainAddress(pc)}
	next.set(a.SP(), fp+16)
	next.set(a.FP(), up)
	return next, StepOK
}

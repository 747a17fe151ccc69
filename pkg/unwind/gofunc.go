package unwind

import (
	"bytes"
	"encoding/binary"
	"math"
)

// goRole is what is special about a function of Go's runtime.
type goRole uint8

const (
	goPlain goRole = iota
	// goRoot functions have no caller: the first of a goroutine or of a thread.
	goRoot
	// goSwitch functions go to another stack and come back. Until then the frame
	// pointer stays, so the frame that it points to is found (from Go 1.21 on that is the
	// function's own; before, the function had none, and its caller is passed over).
	goSwitch
	// goLeave functions go to another stack for good: what they call is a root.
	goLeave
	// goSignal is the return from a signal handler.
	goSignal
)

// role classifies a function. Names decide, because flags and function numbers
// differ between versions.
func (t *goTable) role(fn goFunc) goRole {
	// All of them are assembly or numbered, which has been recorded since Go 1.17.
	if fn.flag == 0 && fn.id == 0 && t.magic != magicGo116 {
		return goPlain
	}
	switch t.funcName(fn.name) {
	case "runtime.goexit", "runtime.mstart", "runtime.rt0_go":
		return goRoot
	case "runtime.mcall", "runtime.morestack", "runtime.switchToCrashStack0":
		return goLeave
	case "runtime.systemstack", "runtime.asmcgocall", "runtime.asmcgocall_no_g", "runtime.cgocallback",
		"runtime.nanotime1", "runtime.walltime1", "runtime.walltime", "time.now", "runtime.vgetrandom1":
		return goSwitch
	case "runtime.sigreturn__sigaction", "runtime.sigreturn":
		return goSignal
	}
	if fn.flag&flagSPWrite != 0 {
		return goSwitch
	}
	return goPlain
}

// function compiles one function.
func (t *goTable) function(i, lo, hi uint64, b *builder) {
	fn, ok := t.record(i)
	if !ok {
		b.stats.Malformed++
		return
	}
	var space [64]goSpan
	spans, ok := t.spans(fn.pcsp, lo, hi, space[:0])
	role := t.role(fn)
	if !ok && role != goRoot && role != goSignal {
		return // C functions in Go's table have no sizes
	}
	if role == goSignal {
		lo-- // nothing calls it: the "return" address is its first byte, and looked up one before
	}
	if _, ok := b.begin(lo, hi); !ok {
		return
	}
	switch role {
	case goRoot:
		b.row(lo, Rule{Kind: KindEnd}, 0)
		return
	case goSignal:
		b.row(lo, Rule{Kind: KindSignal}, 0)
		return
	}
	saved := t.savedFP(spans)
	away := uint64(math.MaxUint64)
	if role != goPlain {
		away = t.leavesStack(lo, hi)
	}
	for _, s := range spans {
		t.rows(s, saved, min(away, s.hi), b)
		if away < s.hi {
			t.awayRow(max(away, s.lo), s.delta, role, saved, b)
		}
	}
}

// rows writes the rows of a range with one frame size, up to end.
func (t *goTable) rows(s goSpan, saved goFrame, end uint64, b *builder) {
	if s.lo >= end {
		return
	}
	if t.arch == ARM64 {
		r, why := armGoRule(s.delta)
		b.row(s.lo, r, why)
		return
	}
	r := Rule{Kind: KindReg, Reg: amdRSP, Off: int32(s.delta) + 8, BX: BXLost}
	if !saved.ok || s.delta < saved.delta {
		b.row(s.lo, r, 0)
		return
	}
	if s.lo < saved.from {
		b.row(s.lo, r, 0)
	}
	r.FP, r.FPOff = FPSaved, saved.off
	if at := max(s.lo, saved.from); at < end {
		b.row(at, r, 0)
	}
}

// armGoRule: the link register is saved at the end of the frame, the frame pointer
// below it (cmd/internal/obj/arm64/obj7.go).
func armGoRule(delta int64) (Rule, Gap) {
	r := Rule{Kind: KindReg, Reg: armSP, Off: int32(delta)}
	switch {
	case delta == 0:
	case fits16(-delta - 8):
		r.FP, r.RA, r.FPOff = FPSaved, RAPair, int16(-delta-8)
	default:
		return Rule{}, GapOffset
	}
	return r, 0
}

// awayRow is the row from where a function has left its stack.
func (t *goTable) awayRow(pc uint64, delta int64, role goRole, saved goFrame, b *builder) {
	switch {
	case role == goLeave:
		b.row(pc, Rule{Kind: KindEnd}, 0)
	case t.arch == ARM64:
		r, why := armGoRule(delta)
		r.Kind, r.Reg, r.Off = KindSwitch, armFP, int32(delta)+8
		if delta == 0 {
			why = GapReturnAddress
		}
		b.row(pc, r, why)
	case delta == 0 && saved.ok:
		// The frame is gone, so the stack is the old one.
		b.row(pc, Rule{Kind: KindReg, Reg: amdRSP, Off: 8, BX: BXLost}, 0)
	default:
		b.row(pc, Rule{Kind: KindSwitch, Reg: amdRBP, Off: 16, FP: FPSaved, FPOff: -16, BX: BXLost}, 0)
	}
}

// goFrame is where a function saves the caller's frame pointer.
type goFrame struct {
	ok    bool
	from  uint64 // address after the instruction that does
	delta int64  // frame size from which on it is saved
	off   int16  // from the CFA
}

// savedFP looks for the instruction that saves the frame pointer. Compiled
// functions and most assembly do it right after they have made room: PUSHQ BP since
// Go 1.21 (cmd/internal/obj/x86/obj6.go), MOVQ BP, n(SP) before, and still where
// assembly follows C's calling convention. Others leave the register alone.
func (t *goTable) savedFP(spans []goSpan) goFrame {
	if t.arch != AMD64 {
		return goFrame{}
	}
	for i := 1; i < min(len(spans), goPrologue); i++ {
		s, prev := spans[i], spans[i-1]
		if s.delta <= prev.delta {
			continue
		}
		code := t.codeAt(s.lo-1, goCode)
		if len(code) == 0 {
			return goFrame{}
		}
		if s.delta == prev.delta+8 && code[0] == 0x55 {
			return goFrame{ok: true, from: s.lo, delta: s.delta, off: int16(-8 - s.delta)}
		}
		if out := storedFP(code[1:min(uint64(len(code)), s.hi-s.lo+1)], s); out.ok {
			return out
		}
	}
	return goFrame{}
}

// storedFP looks for MOVQ BP, n(SP) in the code of a span.
func storedFP(code []byte, s goSpan) goFrame {
	at := bytes.Index(code, []byte{0x48, 0x89, 0x6c, 0x24})
	n, length := int64(0), 5
	if at >= 0 && at+5 <= len(code) {
		n = int64(int8(code[at+4]))
	} else if at = bytes.Index(code, []byte{0x48, 0x89, 0xac, 0x24}); at >= 0 && at+8 <= len(code) {
		n, length = int64(int32(binary.LittleEndian.Uint32(code[at+4:]))), 8
	} else {
		return goFrame{}
	}
	off := n - s.delta - 8
	if n < 0 || n > s.delta-8 || !fits16(off) {
		return goFrame{}
	}
	return goFrame{ok: true, from: s.lo + uint64(at+length), delta: s.delta, off: int16(off)}
}

func (t *goTable) codeAt(vaddr, n uint64) []byte {
	if t.code == nil || vaddr < t.codeBase || vaddr-t.codeBase >= t.code.size {
		off, size, ok := t.f.offset(vaddr)
		if !ok {
			return nil
		}
		t.codeBase, t.code = vaddr, t.f.view(off, size, 14, 2)
	}
	return t.code.tail(vaddr-t.codeBase, n)
}

// leavesStack returns where the stack pointer is first loaded with another stack's:
// the end of a MOVQ to SP, or of MOV Rn, RSP on arm64.
func (t *goTable) leavesStack(lo, hi uint64) uint64 {
	code := t.codeAt(lo, min(hi-lo, 4096))
	if t.arch == ARM64 {
		for i := 0; i+4 <= len(code); i += 4 {
			// ADD $0, Rn, RSP with Rn not RSP
			if v := binary.LittleEndian.Uint32(code[i:]); v&0xfffffc1f == 0x9100001f && v>>5&31 != armSP {
				return lo + uint64(i) + 4
			}
		}
		return math.MaxUint64
	}
	for i := 0; i+3 <= len(code); i++ {
		rex, op, modrm := code[i], code[i+1], code[i+2]
		switch {
		case (rex == 0x48 || rex == 0x49) && op == 0x8b && modrm&0x38 == 0x20 && modrm>>6 != 3:
			n := uint64(3)
			if modrm&7 == 4 {
				n++
			}
			n += [4]uint64{0, 1, 4, 0}[modrm>>6]
			return lo + uint64(i) + n
		case (rex == 0x48 || rex == 0x4c) && op == 0x89 && modrm&0xc7 == 0xc4 && modrm != 0xe4 && modrm != 0xec:
			return lo + uint64(i) + 3
		}
	}
	return math.MaxUint64
}

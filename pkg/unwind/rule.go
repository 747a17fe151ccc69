package unwind

import (
	"encoding/binary"
	"fmt"
)

// Kind says where the canonical frame address (CFA) of a frame is: the value of
// the stack pointer in the caller after the call has returned.
type Kind uint8

const (
	// KindNone: nothing is known. The walker may try the frame pointer.
	KindNone Kind = iota
	// KindEnd: the root of a stack, there is no caller.
	KindEnd
	// KindReg: CFA = Reg + Off.
	KindReg
	// KindDeref: CFA = *(Reg + Lo) + Hi with Lo, Hi the signed halves of Off:
	// realigned stacks (gcc's DRAP, OpenSSL).
	KindDeref
	// KindPLT: CFA = SP + byte 0 of Off + (((PC & byte 1) >= byte 2) << byte 3):
	// lazy binding stubs of the linker.
	KindPLT
	// KindSignal: the kernel's signal frame lies at SP, all registers are in it.
	// The address found there is exact, not a return address.
	KindSignal
	// KindRAReg: CFA = Reg + Off, the return address is in register FPOff, so FP is FPSame
	// or FPLost. Leaf frames only (vfork, longjmp).
	KindRAReg
	// KindSwitch: as KindReg, but the CFA may lie on another stack, above or below:
	// Go's systemstack, asmcgocall and calls into the vDSO.
	KindSwitch
	// KindIndexed, amd64: CFA = *(Reg + 8 * R9 + Lo) + Hi (OpenSSL's bn_mul_mont).
	KindIndexed
	kinds
)

func (k Kind) String() string {
	names := [kinds]string{"none", "end", "reg", "deref", "plt", "signal", "ra-reg", "switch", "indexed"}
	if k >= kinds {
		return fmt.Sprintf("kind(%d)", uint8(k))
	}
	return names[k]
}

// RAMode says where the return address is.
type RAMode uint8

const (
	// RADefault: amd64 *(CFA - 8); arm64 the link register, in leaf frames only.
	RADefault RAMode = iota
	// RAPair: *(CFA + FPOff + 8), after the frame pointer.
	RAPair
	// RAAlone: *(CFA + FPOff); the frame pointer has the caller's value or is lost.
	RAAlone
	// RASplit, with KindReg only: the CFA offset is the low half of Off, unsigned, and
	// the return address is at CFA + the high half, signed.
	RASplit
)

// FPMode says where the caller's frame pointer is.
type FPMode uint8

const (
	// FPSame: in the register.
	FPSame FPMode = iota
	// FPSaved: *(CFA + FPOff).
	FPSaved
	// FPLost: nowhere that a rule can say.
	FPLost
	// FPIndirect: *(FP + FPOff): realigned stacks.
	FPIndirect
)

// BXMode says where the caller's rbx is on amd64: it holds the CFA in frames that
// are not leaves, such as ld.so's lazy binding. Values 1 to 6: *(CFA - 8*(BX+1)), where
// pushes put it. All of it, the frame pointer and the return address usually lie in
// the 56 bytes below the CFA, which one read gets.
type BXMode uint8

const (
	BXSame BXMode = 0
	bxMax  BXMode = 6
	BXLost BXMode = 7
)

// Rule recovers a caller's frame. The zero Rule is None. Rules are comparable.
type Rule struct {
	Kind  Kind
	RA    RAMode
	FP    FPMode
	BX    BXMode
	Reg   uint8 // DWARF number, < 32
	FPOff int16
	Off   int32
}

// Encode returns the rule as the kernel side stores it:
//
//	byte 0    Kind | RA << 4 | FP << 6
//	byte 1    Reg | BX << 5
//	bytes 2-3 FPOff, signed, little endian
//	bytes 4-7 Off, signed, little endian
func (r Rule) Encode() [8]byte {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], r.word())
	return b
}

func (r Rule) word() uint64 {
	kind := uint64(r.Kind&15) | uint64(r.RA&3)<<4 | uint64(r.FP&3)<<6
	reg := uint64(r.Reg&31) | uint64(r.BX&7)<<5
	return kind | reg<<8 | uint64(uint16(r.FPOff))<<16 | uint64(uint32(r.Off))<<32
}

// DecodeRule is the inverse of Encode. It accepts all bytes; Step rejects what is
// no rule.
func DecodeRule(b [8]byte) Rule {
	return Rule{
		Kind: Kind(b[0] & 15), RA: RAMode(b[0] >> 4 & 3), FP: FPMode(b[0] >> 6), Reg: b[1] & 31, BX: BXMode(b[1] >> 5),
		FPOff: int16(binary.LittleEndian.Uint16(b[2:])),
		Off:   int32(binary.LittleEndian.Uint32(b[4:])),
	}
}

func (r Rule) halves() (lo, hi int16) { return int16(r.Off), int16(r.Off >> 16) }

func joinHalves(lo, hi int16) int32 { return int32(hi)<<16 | int32(uint16(lo)) }

// cfaOff is the offset of KindReg, KindRAReg and KindSwitch.
func (r Rule) cfaOff() int64 {
	if r.RA == RASplit {
		return int64(uint16(r.Off))
	}
	return int64(r.Off)
}

// raOff is where the return address is relative to the CFA, unless in a register.
func (r Rule) raOff() int64 {
	switch r.RA {
	case RAPair:
		return int64(r.FPOff) + 8
	case RAAlone:
		return int64(r.FPOff)
	case RASplit:
		_, hi := r.halves()
		return int64(hi)
	}
	return -8
}

func (r Rule) bxOff() int64 { return -8 * (int64(r.BX) + 1) }

func (r Rule) String() string {
	lo, hi := r.halves()
	var s string
	switch r.Kind {
	case KindReg, KindSwitch:
		s = fmt.Sprintf("cfa=r%d%+d", r.Reg, r.cfaOff())
	case KindDeref:
		s = fmt.Sprintf("cfa=*(r%d%+d)%+d", r.Reg, lo, hi)
	case KindIndexed:
		s = fmt.Sprintf("cfa=*(r%d+8*r9%+d)%+d", r.Reg, lo, hi)
	case KindRAReg:
		return fmt.Sprintf("cfa=r%d%+d ra=r%d", r.Reg, r.Off, r.FPOff)
	default:
		return r.Kind.String()
	}
	if r.RA != RADefault {
		s += fmt.Sprintf(" ra=c%+d", r.raOff())
	}
	switch r.FP {
	case FPSaved:
		s += fmt.Sprintf(" fp=c%+d", r.FPOff)
	case FPLost:
		s += " fp=?"
	case FPIndirect:
		s += fmt.Sprintf(" fp=*(fp%+d)", r.FPOff)
	}
	switch {
	case r.BX == BXLost:
		s += " bx=?"
	case r.BX > 0:
		s += fmt.Sprintf(" bx=c%+d", r.bxOff())
	}
	return s
}

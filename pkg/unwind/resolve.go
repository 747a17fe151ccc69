package unwind

import "math"

// Where the signal frame's trampoline says that CFA and RIP are, by which it is
// recognised: glibc's sysdeps/unix/sysv/linux/x86_64/libc_sigaction.c.
const (
	amdSignalRSPAt = 160
	amdSignalRIPAt = 168
)

// rule packs the current row, or says why that cannot be.
func (m *machine) rule() (Rule, Gap) {
	s := &m.state
	if m.signal && m.isSignalFrame() {
		return Rule{Kind: KindSignal}, 0
	}
	if s.ra.place == placeUndefined {
		return Rule{Kind: KindEnd}, 0
	}
	r, why := cfaRule(m.arch, s.cfa)
	if why != 0 {
		return Rule{}, why
	}
	if m.arch == AMD64 {
		r.BX = bxMode(s.bx)
	}
	fpOff, why := m.frameRule(&r)
	if why != 0 {
		return Rule{}, why
	}
	return m.returnRule(r, fpOff)
}

// isSignalFrame: the kernel's frame cannot be described in CFI on arm64 as the
// interrupted address is in no DWARF register there, so the mark must do.
func (m *machine) isSignalFrame() bool {
	if m.arch == ARM64 {
		return true
	}
	s := &m.state
	at := s.ra.expr
	return s.cfa.form == formDeref && s.cfa.reg == amdRSP && s.cfa.off == amdSignalRSPAt && s.cfa.add == 0 &&
		s.ra.place == placeExpr && at.form == formReg && at.reg == amdRSP && at.off == amdSignalRIPAt
}

func cfaRule(a Arch, e expr) (Rule, Gap) {
	switch e.form {
	case formReg:
		if e.off < math.MinInt32 || e.off > math.MaxInt32 {
			return Rule{}, GapOffset
		}
		return Rule{Kind: KindReg, Reg: e.reg, Off: int32(e.off)}, 0
	case formDeref, formDerefIndex:
		if !fits16(e.off) || !fits16(e.add) {
			return Rule{}, GapOffset
		}
		kind := KindDeref
		if e.form == formDerefIndex {
			kind = KindIndexed
		}
		return Rule{Kind: kind, Reg: e.reg, Off: joinHalves(int16(e.off), int16(e.add))}, 0
	case formPLT:
		return Rule{Kind: KindPLT, Reg: a.SP(), Off: int32(e.add)}, 0
	}
	return Rule{}, GapExpression
}

func bxMode(l location) BXMode {
	switch l.place {
	case placeUnset, placeSame:
		return BXSame
	case placeOffset:
		if n := -l.off/8 - 1; l.off%8 == 0 && n >= 1 && n <= int64(bxMax) {
			return BXMode(n)
		}
	}
	return BXLost
}

func fits16(n int64) bool { return n >= math.MinInt16 && n <= math.MaxInt16 }

// frameRule fills in how the frame pointer is recovered and returns its offset from
// the CFA where it is saved there. What cannot be said leaves it lost, not the frame.
func (m *machine) frameRule(r *Rule) (int64, Gap) {
	fp := m.state.fp
	switch fp.place {
	case placeUnset, placeSame:
		r.FP = FPSame
	case placeOffset:
		if fits16(fp.off) {
			r.FP, r.FPOff = FPSaved, int16(fp.off)
			return fp.off, 0
		}
		r.FP = FPLost
	case placeExpr:
		e, cfa := fp.expr, m.state.cfa
		switch {
		case e.form == formReg && e.reg == m.arch.FP() && fits16(e.off):
			r.FP, r.FPOff = FPIndirect, int16(e.off)
		case e.form == formReg && cfa.form == formReg && e.reg == cfa.reg && fits16(e.off-cfa.off):
			r.FP, r.FPOff = FPSaved, int16(e.off-cfa.off)
			return e.off - cfa.off, 0
		default:
			r.FP = FPLost
		}
	default:
		r.FP = FPLost
	}
	return 0, 0
}

// returnRule completes a rule with where the return address is.
func (m *machine) returnRule(r Rule, fpOff int64) (Rule, Gap) {
	ra := m.state.ra
	switch ra.place {
	case placeUnset, placeSame:
		if m.arch == ARM64 {
			return r, 0
		}
	case placeRegister:
		if m.arch == ARM64 && ra.off == armLR {
			return r, 0
		}
		if r.Kind == KindReg && uint64(ra.off) < m.arch.registers() && r.FP != FPSaved && r.FP != FPIndirect {
			r.Kind, r.FPOff = KindRAReg, int16(ra.off)
			return r, 0
		}
	case placeOffset:
		return m.savedReturn(r, fpOff, ra.off)
	}
	return Rule{}, GapReturnAddress
}

func (m *machine) savedReturn(r Rule, fpOff, off int64) (Rule, Gap) {
	switch {
	case m.arch == AMD64 && off == -8:
		return r, 0
	case !fits16(off):
		return Rule{}, GapOffset
	case r.FP == FPSaved && off == fpOff+8:
		r.RA = RAPair
	case r.FP == FPSame || r.FP == FPLost:
		r.RA, r.FPOff = RAAlone, int16(off)
	case r.Kind == KindReg && r.Off >= 0 && r.Off <= math.MaxUint16:
		r.RA, r.Off = RASplit, joinHalves(int16(uint16(r.Off)), int16(off))
	default:
		return Rule{}, GapReturnAddress
	}
	return r, 0
}

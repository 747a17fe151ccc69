package unwind

import (
	"math"
)

// Call frame instructions: DWARF 5 section 7.24, LSB 5.0 core section 10.5.1.
const (
	cfaAdvanceLoc          = 0x40
	cfaOffset              = 0x80
	cfaRestore             = 0xc0
	cfaNop                 = 0x00
	cfaSetLoc              = 0x01
	cfaAdvanceLoc1         = 0x02
	cfaAdvanceLoc2         = 0x03
	cfaAdvanceLoc4         = 0x04
	cfaOffsetExtended      = 0x05
	cfaRestoreExtended     = 0x06
	cfaUndefined           = 0x07
	cfaSameValue           = 0x08
	cfaRegister            = 0x09
	cfaRememberState       = 0x0a
	cfaRestoreState        = 0x0b
	cfaDefCFA              = 0x0c
	cfaDefCFARegister      = 0x0d
	cfaDefCFAOffset        = 0x0e
	cfaDefCFAExpression    = 0x0f
	cfaExpression          = 0x10
	cfaOffsetExtendedSF    = 0x11
	cfaDefCFASF            = 0x12
	cfaDefCFAOffsetSF      = 0x13
	cfaValOffset           = 0x14
	cfaValOffsetSF         = 0x15
	cfaValExpression       = 0x16
	cfaNegateRAStateWithPC = 0x2c // arm64
	cfaNegateRAState       = 0x2d // arm64; the caller's address is cleaned at run time
	cfaGNUArgsSize         = 0x2e
	cfaGNUNegOffsetExt     = 0x2f
)

const maxRemembered = 64

type place uint8

const (
	placeUnset place = iota
	placeUndefined
	placeSame
	placeOffset    // *(CFA + off)
	placeValOffset // CFA + off
	placeRegister
	placeExpr
	placeValExpr
)

// location is where the value of a caller's register is.
type location struct {
	place place
	off   int64 // or the register
	expr  expr
}

// frameState is one row of the table that call frame instructions describe, as far
// as Step needs it.
type frameState struct {
	cfa        expr // its value
	fp, ra, bx location
}

// expr is a value that a rule can hold.
type expr struct {
	form exprForm
	reg  uint8
	off  int64
	add  int64 // after the dereference; with formPLT the packed constants
}

type exprForm uint8

const (
	formUnknown exprForm = iota // more than a rule can say
	formReg                     // reg + off
	formDeref                   // *(reg + off) + add
	formPLT
	formIndex      // 8 * register
	formRegIndex   // reg + 8*r9 + off
	formDerefIndex // *(reg + 8*r9 + off) + add
	formConst      // off
)

// machine runs call frame instructions.
type machine struct {
	arch    Arch
	cie     *cie
	state   frameState
	initial frameState
	stack   [maxRemembered]frameState
	depth   int
	pc      uint64
	b       *builder
	signal  bool
}

// run executes instructions. It writes a row before each advance, to b unless that
// is nil (the initial instructions of a CIE), and reports whether they are well
// formed. start is the address of code[0].
func (m *machine) run(code []byte, start uint64) bool {
	c := cursor{b: code}
	for c.more() {
		op := c.u8()
		low := uint64(op & 0x3f)
		switch op & 0xc0 {
		case cfaAdvanceLoc:
			m.advance(low)
			continue
		case cfaOffset:
			m.set(low, location{place: placeOffset, off: m.scale(int64(c.uleb()))})
			continue
		case cfaRestore:
			m.restore(low)
			continue
		}
		if !m.extended(op, &c, start) {
			return false
		}
	}
	return !c.bad
}

func (m *machine) extended(op uint8, c *cursor, start uint64) bool {
	switch op {
	case cfaNop, cfaNegateRAState, cfaNegateRAStateWithPC:
	case cfaSetLoc:
		if pc := c.pointer(m.cie.enc, start, 0); pc > m.pc {
			m.emit()
			m.pc = pc
		}
	case cfaAdvanceLoc1:
		m.advance(uint64(c.u8()))
	case cfaAdvanceLoc2:
		m.advance(uint64(c.u16()))
	case cfaAdvanceLoc4:
		m.advance(uint64(c.u32()))
	case cfaRestoreExtended:
		m.restore(c.uleb())
	case cfaRememberState:
		if m.depth == maxRemembered {
			return false
		}
		m.stack[m.depth] = m.state
		m.depth++
	case cfaRestoreState:
		if m.depth == 0 {
			return false
		}
		m.depth--
		m.state = m.stack[m.depth]
	case cfaGNUArgsSize:
		c.uleb()
	case cfaDefCFA, cfaDefCFARegister, cfaDefCFAOffset, cfaDefCFAExpression, cfaDefCFASF, cfaDefCFAOffsetSF:
		m.defCFA(op, c)
	default:
		return m.setOp(op, c)
	}
	return !c.bad
}

func (m *machine) defCFA(op uint8, c *cursor) {
	cfa := &m.state.cfa
	switch op {
	case cfaDefCFA:
		*cfa = m.arch.regExpr(c.uleb(), int64(c.uleb()))
	case cfaDefCFASF:
		*cfa = m.arch.regExpr(c.uleb(), m.scale(c.sleb()))
	case cfaDefCFAExpression:
		*cfa = m.arch.parseExpr(c.block(), false)
	case cfaDefCFARegister:
		reg := c.uleb()
		if cfa.form == formReg {
			*cfa = m.arch.regExpr(reg, cfa.off)
		} else {
			*cfa = expr{}
		}
	case cfaDefCFAOffset, cfaDefCFAOffsetSF:
		var off int64
		if op == cfaDefCFAOffset {
			off = int64(c.uleb())
		} else {
			off = m.scale(c.sleb())
		}
		if cfa.form == formReg {
			cfa.off = off
		} else {
			*cfa = expr{}
		}
	}
}

// setOp executes what says where one register is.
func (m *machine) setOp(op uint8, c *cursor) bool {
	reg := c.uleb()
	l := location{}
	switch op {
	case cfaOffsetExtended:
		l = location{place: placeOffset, off: m.scale(int64(c.uleb()))}
	case cfaOffsetExtendedSF:
		l = location{place: placeOffset, off: m.scale(c.sleb())}
	case cfaGNUNegOffsetExt:
		l = location{place: placeOffset, off: -m.scale(int64(c.uleb()))}
	case cfaValOffset:
		l = location{place: placeValOffset, off: m.scale(int64(c.uleb()))}
	case cfaValOffsetSF:
		l = location{place: placeValOffset, off: m.scale(c.sleb())}
	case cfaUndefined:
		l.place = placeUndefined
	case cfaSameValue:
		l.place = placeSame
	case cfaRegister:
		l = location{place: placeRegister, off: int64(min(c.uleb(), 255))}
	case cfaExpression:
		l = location{place: placeExpr, expr: m.arch.parseExpr(c.block(), true)}
	case cfaValExpression:
		l = location{place: placeValExpr, expr: m.arch.parseExpr(c.block(), true)}
	default:
		return false
	}
	m.set(reg, l)
	return !c.bad
}

func (m *machine) scale(n int64) int64 { return n * m.cie.dataAlign }

func (m *machine) advance(n uint64) {
	if n == 0 {
		return
	}
	m.emit()
	next := m.pc + n*m.cie.codeAlign
	if next < m.pc {
		next = math.MaxUint64
	}
	m.pc = next
}

func (m *machine) set(reg uint64, l location) {
	switch reg {
	case uint64(m.arch.FP()):
		m.state.fp = l
	case m.cie.ra:
		m.state.ra = l
	case amdRBX:
		m.state.bx = l
	}
}

func (m *machine) restore(reg uint64) {
	switch reg {
	case uint64(m.arch.FP()):
		m.state.fp = m.initial.fp
	case m.cie.ra:
		m.state.ra = m.initial.ra
	case amdRBX:
		m.state.bx = m.initial.bx
	}
}

func (m *machine) emit() {
	if m.b != nil {
		r, why := m.rule()
		m.b.row(m.pc, r, why)
	}
}

package unwind

// DWARF expression operators: DWARF 5 section 7.7.1.
const (
	opDeref      = 0x06
	opConst1u    = 0x08
	opConst1s    = 0x09
	opConst2u    = 0x0a
	opConst2s    = 0x0b
	opConst4u    = 0x0c
	opConst4s    = 0x0d
	opConst8u    = 0x0e
	opConst8s    = 0x0f
	opConstu     = 0x10
	opConsts     = 0x11
	opAnd        = 0x1a
	opMinus      = 0x1c
	opMul        = 0x1e
	opPlus       = 0x22
	opPlusUconst = 0x23
	opShl        = 0x24
	opGe         = 0x2a
	opLit0       = 0x30
	opLit31      = 0x4f
	opBreg0      = 0x70
	opBreg31     = 0x8f
	opBregx      = 0x92
	opNop        = 0x96
)

const maxExprStack = 8

func (a Arch) regExpr(reg uint64, off int64) expr {
	if reg >= a.registers() {
		return expr{}
	}
	return expr{form: formReg, reg: uint8(reg), off: off}
}

// parseExpr brings an expression into one of the forms of expr, or into
// formUnknown. With pushed, the CFA lies on the stack already, which no form has.
func (a Arch) parseExpr(b []byte, pushed bool) expr {
	if e, ok := a.parsePLT(b); ok {
		return e
	}
	var stack [maxExprStack]expr
	n := 0
	if pushed {
		n = 1
	}
	c := cursor{b: b}
	for c.more() {
		op := c.u8()
		switch op {
		case opNop:
			continue
		case opPlus, opMinus, opMul:
			if n < 2 {
				return expr{}
			}
			n--
			stack[n-1] = combine(stack[n-1], stack[n], op)
			continue
		case opPlusUconst, opDeref:
			if n < 1 {
				return expr{}
			}
			if op == opDeref {
				stack[n-1] = dereference(stack[n-1])
			} else {
				stack[n-1] = combine(stack[n-1], expr{form: formConst, off: int64(c.uleb())}, opPlus)
			}
			continue
		}
		e := a.operand(op, &c)
		if e.form == formUnknown || n == maxExprStack {
			return expr{}
		}
		stack[n] = e
		n++
	}
	if c.bad || n == 0 {
		return expr{}
	}
	return stack[n-1]
}

// operand reads an operator that pushes a register or a constant.
func (a Arch) operand(op uint8, c *cursor) expr {
	switch {
	case op >= opLit0 && op <= opLit31:
		return expr{form: formConst, off: int64(op - opLit0)}
	case op >= opBreg0 && op <= opBreg31:
		return a.regExpr(uint64(op-opBreg0), c.sleb())
	}
	e := expr{form: formConst}
	switch op {
	case opBregx:
		reg := c.uleb()
		return a.regExpr(reg, c.sleb())
	case opConst1u:
		e.off = int64(c.u8())
	case opConst1s:
		e.off = int64(int8(c.u8()))
	case opConst2u:
		e.off = int64(c.u16())
	case opConst2s:
		e.off = int64(int16(c.u16()))
	case opConst4u:
		e.off = int64(c.u32())
	case opConst4s:
		e.off = int64(int32(c.u32()))
	case opConst8u, opConst8s:
		e.off = int64(c.u64())
	case opConstu:
		e.off = int64(c.uleb())
	case opConsts:
		e.off = c.sleb()
	default:
		return expr{}
	}
	return e
}

func combine(x, y expr, op uint8) expr {
	if y.form != formConst && op != opMinus {
		x, y = y, x
	}
	if op == opMul {
		if x.form == formReg && x.reg == amdIndex && x.off == 0 && y.form == formConst && y.off == 8 {
			return expr{form: formIndex}
		}
		return expr{}
	}
	if op == opPlus && (x.form == formIndex && y.form == formReg || x.form == formReg && y.form == formIndex) {
		return expr{form: formRegIndex, reg: x.reg | y.reg, off: x.off + y.off}
	}
	if y.form != formConst {
		return expr{}
	}
	if op == opMinus {
		y.off = -y.off
	}
	switch x.form {
	case formReg, formConst, formRegIndex:
		x.off += y.off
		return x
	case formDeref, formDerefIndex:
		x.add += y.off
		return x
	}
	return expr{}
}

func dereference(x expr) expr {
	switch x.form {
	case formReg:
		x.form = formDeref
	case formRegIndex:
		x.form = formDerefIndex
	default:
		return expr{}
	}
	return x
}

// parsePLT recognises what linkers write for .plt:
// SP + base + (((PC & mask) >= threshold) << shift).
func (a Arch) parsePLT(b []byte) (expr, bool) {
	if a != AMD64 || len(b) < 9 || b[0] != opBreg0+amdRSP {
		return expr{}, false
	}
	c := cursor{b: b, pos: 1}
	base := c.sleb()
	if c.u8() != opBreg0+amdRIP || c.sleb() != 0 {
		return expr{}, false
	}
	lit := func() int64 {
		op := c.u8()
		if op < opLit0 || op > opLit31 {
			c.bad = true
		}
		return int64(op) - opLit0
	}
	mask := lit()
	and := c.u8()
	threshold := lit()
	ge := c.u8()
	shift := lit()
	if and != opAnd || ge != opGe || c.u8() != opShl || c.u8() != opPlus || c.bad || c.pos != len(b) ||
		base < 0 || base > 127 || shift > 7 {
		return expr{}, false
	}
	return expr{form: formPLT, add: base | mask<<8 | threshold<<16 | shift<<24}, true
}

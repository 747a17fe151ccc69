package unwind

// cursor reads the encodings of DWARF. After a read beyond the end bad is set and
// all values are 0.
type cursor struct {
	b   []byte
	pos int
	bad bool
}

func (c *cursor) more() bool { return !c.bad && c.pos < len(c.b) }

func (c *cursor) take(n uint64) []byte {
	if c.bad || n > uint64(len(c.b)-c.pos) {
		c.bad = true
		return nil
	}
	out := c.b[c.pos : c.pos+int(n)]
	c.pos += int(n)
	return out
}

func (c *cursor) u8() uint8 {
	if c.pos >= len(c.b) {
		c.bad = true
		return 0
	}
	v := c.b[c.pos]
	c.pos++
	return v
}

func (c *cursor) u16() uint16 {
	if b := c.take(2); b != nil {
		return le.Uint16(b)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.take(4); b != nil {
		return le.Uint32(b)
	}
	return 0
}

func (c *cursor) u64() uint64 {
	if b := c.take(8); b != nil {
		return le.Uint64(b)
	}
	return 0
}

func (c *cursor) uleb() uint64 {
	var v uint64
	for shift := uint(0); shift < 70; shift += 7 {
		b := c.u8()
		v |= uint64(b&0x7f) << shift
		if b&0x80 == 0 {
			return v
		}
	}
	c.bad = true
	return 0
}

func (c *cursor) sleb() int64 {
	var v int64
	for shift := uint(0); shift < 70; shift += 7 {
		b := c.u8()
		v |= int64(b&0x7f) << shift
		if b&0x80 == 0 {
			if shift+7 < 64 && b&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
	c.bad = true
	return 0
}

// block reads a length and that many bytes.
func (c *cursor) block() []byte { return c.take(c.uleb()) }

// Pointer encodings: LSB 5.0 core section 10.5.
const (
	peAbs     = 0x00
	peULEB    = 0x01
	peU2      = 0x02
	peU4      = 0x03
	peU8      = 0x04
	peSLEB    = 0x09
	peS2      = 0x0a
	peS4      = 0x0b
	peS8      = 0x0c
	pePCRel   = 0x10
	peDataRel = 0x30
	peOmit    = 0xff

	peTable = peDataRel | peS4 // the rows of .eh_frame_hdr that can be searched
)

// raw reads the value of an encoded pointer, without what it is relative to.
func (c *cursor) raw(enc uint8) uint64 {
	switch enc & 0x0f {
	case peAbs, peU8, peS8:
		return c.u64()
	case peULEB:
		return c.uleb()
	case peU2:
		return uint64(c.u16())
	case peU4:
		return uint64(c.u32())
	case peSLEB:
		return uint64(c.sleb())
	case peS2:
		return uint64(int64(int16(c.u16())))
	case peS4:
		return uint64(int64(int32(c.u32())))
	}
	c.bad = true
	return 0
}

// pointer reads an encoded pointer; start is the address of c.b[0], data what
// data-relative ones count from.
func (c *cursor) pointer(enc uint8, start, data uint64) uint64 {
	at := start + uint64(c.pos)
	v := c.raw(enc)
	switch enc & 0xf0 { // with bit 7 it would be the address of the pointer
	case 0:
		return v
	case pePCRel:
		return v + at
	case peDataRel:
		return v + data
	}
	c.bad = true
	return 0
}

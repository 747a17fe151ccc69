package unwind

// cie is a Common Information Entry, with its instructions executed.
type cie struct {
	ok        bool
	codeAlign uint64
	dataAlign int64
	ra        uint64
	enc       uint8 // of addresses in FDEs
	augmented bool  // FDEs have augmentation data
	signal    bool
	initial   frameState
	size      uint64
}

// parseCIE reads a CIE without its length and ID. start is the address of body[0].
func parseCIE(a Arch, body []byte, start uint64, debug bool) *cie {
	out := &cie{size: uint64(len(body))}
	c := cursor{b: body}
	version := c.u8()
	if version != 1 && version != 3 && version != 4 {
		return out
	}
	aug := c.pos
	for c.u8() != 0 {
		if c.bad {
			return out
		}
	}
	letters := string(body[aug : c.pos-1])
	if version == 4 {
		if addr, seg := c.u8(), c.u8(); addr != 8 || seg != 0 {
			return out
		}
	}
	out.codeAlign, out.dataAlign = c.uleb(), c.sleb()
	if version == 1 {
		out.ra = uint64(c.u8())
	} else {
		out.ra = c.uleb()
	}
	if !out.augmentation(letters, &c, debug) || c.bad || out.ra != uint64(a.RA()) {
		return out
	}
	m := machine{arch: a, cie: out}
	if !m.run(body[c.pos:], start+uint64(c.pos)) {
		return out
	}
	out.initial, out.ok = m.state, true
	return out
}

// augmentation reads the data that the letters announce: LSB 5.0 core section
// 10.6.1.1.1; B (arm64) says that return addresses are signed with key B.
func (c *cie) augmentation(letters string, cur *cursor, debug bool) bool {
	if letters == "" || letters == "eh" && debug {
		return true
	}
	if letters[0] != 'z' {
		return false
	}
	c.augmented = true
	data := cursor{b: cur.block()}
	for _, l := range letters[1:] {
		switch l {
		case 'R':
			c.enc = data.u8()
		case 'P':
			data.raw(data.u8())
		case 'L':
			data.u8()
		case 'S':
			c.signal = true
		case 'B', 'G':
		default:
			return true // the rest is skipped by its length
		}
	}
	return !data.bad
}

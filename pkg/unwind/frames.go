package unwind

import (
	"math"
	"slices"
)

const (
	maxEntry = 4 << 20 // bytes of one CIE or FDE
	maxCIEs  = 4096    // kept at a time
	maxFDEs  = 8 << 20
	// maxExecuted bounds the bytes of entries that are executed, since a sparse file
	// may be of any size: 4 times those of the largest programs, a few seconds.
	maxExecuted = 1 << 30

	windowBits, windowSlots = 14, 256
)

// frames reads the entries of one .eh_frame or .debug_frame section.
type frames struct {
	arch  Arch
	w     *window
	vaddr uint64 // of the section
	debug bool
	b     *builder
	cies  map[uint64]*cie
	m     machine
	// budget is how many more bytes of entries may be executed: a section can refer
	// to the same bytes many times.
	budget int64
	last   uint64 // offset + 1 of the CIE used last
	lastC  *cie
}

func newFrames(f *image, b *builder, off, size, vaddr uint64, debug bool) *frames {
	w := f.view(off, size, windowBits, windowSlots)
	return &frames{
		arch: f.arch, w: w, vaddr: vaddr, debug: debug, b: b, cies: map[uint64]*cie{},
		budget: int64(min(4*min(w.size, maxExecuted)+1<<20, maxExecuted)),
	}
}

// entry is the head of a CIE or an FDE: DWARF 5 section 6.4.1.
type entry struct {
	body uint64 // offset of what follows the ID
	end  uint64
	cie  uint64 // offset of the CIE of an FDE
	fde  bool
}

// entry reads the head at off. next is where the one after it starts, 0 if there is
// none.
func (s *frames) entry(off uint64) (e entry, next uint64) {
	c := cursor{b: s.w.tail(off, 20)}
	length, wide := uint64(c.u32()), false
	if length == math.MaxUint32 {
		length, wide = c.u64(), true
	}
	if c.bad || length == 0 {
		return entry{}, 0
	}
	id := off + uint64(c.pos)
	if !within(id, length, s.w.size) {
		return entry{}, 0
	}
	next = id + length
	var ref uint64
	if wide && s.debug {
		ref = c.u64()
	} else {
		ref = uint64(c.u32())
	}
	e = entry{body: off + uint64(c.pos), end: next}
	if c.bad || e.body > e.end || length > maxEntry {
		return entry{}, next
	}
	switch {
	case !s.debug:
		e.fde, e.cie = ref != 0, id-ref
		if ref > id {
			return entry{}, next
		}
	case wide:
		e.fde, e.cie = ref != math.MaxUint64, ref
	default:
		e.fde, e.cie = ref != math.MaxUint32, ref
	}
	return e, next
}

func (s *frames) cie(off uint64) *cie {
	if s.last == off+1 {
		return s.lastC
	}
	c, ok := s.cies[off]
	if !ok {
		c = &cie{}
		if e, _ := s.entry(off); e.body != 0 && !e.fde {
			if body := s.w.bytes(e.body, e.end-e.body); body != nil {
				c = parseCIE(s.arch, body, s.vaddr+e.body, s.debug)
				s.budget -= int64(len(body))
			}
		}
		if len(s.cies) >= maxCIEs {
			clear(s.cies)
		}
		s.cies[off] = c
	}
	s.last, s.lastC = off+1, c
	return c
}

// location returns the range of an FDE and where its instructions are in body.
func (s *frames) location(c *cie, body []byte, start uint64) (lo, hi uint64, code int, ok bool) {
	cur := cursor{b: body}
	lo = cur.pointer(c.enc, start, 0)
	n := cur.raw(c.enc & 0x0f)
	hi = lo + n
	if c.augmented {
		cur.block()
	}
	return lo, hi, cur.pos, !cur.bad && hi >= lo
}

// function executes the FDE at off.
func (s *frames) function(off uint64) {
	e, _ := s.entry(off)
	if !e.fde || s.budget <= 0 {
		s.b.stats.Malformed++
		return
	}
	c := s.cie(e.cie)
	body := s.w.bytes(e.body, e.end-e.body)
	s.budget -= int64(len(body)) + 16
	if body == nil || !c.ok {
		s.b.stats.Malformed++
		return
	}
	start := s.vaddr + e.body
	lo, hi, code, ok := s.location(c, body, start)
	if !ok {
		s.b.stats.Malformed++
		return
	}
	hi, ok = s.b.begin(lo, hi)
	if !ok {
		return
	}
	m := &s.m
	m.arch, m.cie, m.b, m.signal = s.arch, c, s.b, c.signal
	m.state, m.initial, m.depth, m.pc = c.initial, c.initial, 0, lo
	ok = m.run(body[code:], start+uint64(code))
	if !ok {
		// What came before holds; from here on nothing is known.
		s.b.stats.Malformed++
		s.b.row(m.pc, Rule{}, GapMalformed)
		return
	}
	if m.pc < hi {
		m.emit()
	}
}

// scan executes all FDEs of the section, in the order of their addresses.
func (s *frames) scan() {
	type ref struct{ lo, off uint64 }
	var index []ref
	for off := uint64(0); off < s.w.size && len(index) < maxFDEs; {
		e, next := s.entry(off)
		if next == 0 {
			break
		}
		if e.fde {
			c := s.cie(e.cie)
			if head := s.w.tail(e.body, min(e.end-e.body, 64)); c.ok && head != nil {
				cur := cursor{b: head}
				lo := cur.pointer(c.enc, s.vaddr+e.body, 0)
				if n := cur.raw(c.enc & 0x0f); !cur.bad && n > 0 {
					index = append(index, ref{lo, off})
				}
			} else {
				s.b.stats.Malformed++
			}
		}
		off = next
	}
	slices.SortFunc(index, func(a, b ref) int {
		switch {
		case a.lo != b.lo && a.lo < b.lo, a.lo == b.lo && a.off < b.off:
			return -1
		case a == b:
			return 0
		}
		return 1
	})
	for _, r := range index {
		if r.lo < s.b.opt.To {
			s.function(r.off)
		}
	}
}

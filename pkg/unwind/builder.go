package unwind

import "math"

// padding is the largest gap between two functions that is filled with the rule
// before it: less than the usual alignment, so no code can be in it.
const padding = 16

// interner gives equal rules one number.
type interner struct {
	rules   []Rule
	numbers map[uint64]uint16 // by the encoded rule
	limit   int
	recent  [256]struct {
		rule   uint64
		number uint16
	}
}

func newInterner(limit int) *interner {
	return &interner{rules: []Rule{{}}, numbers: map[uint64]uint16{0: 0}, limit: limit}
}

// number returns the index of a rule, and false if there is no room for it.
func (in *interner) number(r Rule) (uint16, bool) {
	key := r.word()
	slot := &in.recent[key*0x9e3779b97f4a7c15>>56]
	if slot.rule == key {
		return slot.number, true
	}
	n, ok := in.numbers[key]
	if !ok {
		if len(in.rules) >= in.limit {
			return 0, false
		}
		n = uint16(len(in.rules))
		in.rules = append(in.rules, r)
		in.numbers[key] = n
	}
	slot.rule, slot.number = key, n
	return n, true
}

// builder collects the rows of one source, function by function in ascending order.
type builder struct {
	*interner
	rows  *rows
	have  *rows // of better sources
	exec  []span
	base  uint64
	opt   Options
	stats SourceCoverage

	truncated  bool
	start, end uint64 // of the current function; end of all so far
	last       uint16
	lost       Gap    // why the last row has no rule
	lostFrom   uint64 // and since where
}

// span is a range of addresses.
type span struct{ lo, hi uint64 }

func newBuilder(f *image, in *interner, have *rows, o Options) *builder {
	return &builder{interner: in, rows: &rows{}, have: have, exec: f.exec(), base: f.base(), opt: o}
}

// known reports whether a better source has a rule for an address.
func (b *builder) known(vaddr uint64) bool {
	if vaddr < b.base || vaddr-b.base > math.MaxUint32 || b.have.len() == 0 {
		return false
	}
	i := b.have.search(uint32(vaddr - b.base))
	return i >= 0 && b.have.at(i).Rule != 0
}

// clip cuts a function to the executable segment that it starts in, and reports
// whether anything that was asked for is left.
func (b *builder) clip(lo, hi uint64) (uint64, bool) {
	if lo >= hi || lo >= b.opt.To || hi <= b.opt.From || lo < b.base {
		return 0, false
	}
	for _, s := range b.exec {
		if lo >= s.lo && lo < s.hi {
			hi = min(hi, s.hi, b.base+math.MaxUint32)
			return hi, lo < hi
		}
	}
	return 0, false
}

// begin starts a function, which must not start before the last one did. It
// returns where it ends, and false if there is nothing to do: where two functions
// overlap, the rows from the start of the later one on are its own, as in libgcc's
// search; of two that start together the first is taken.
func (b *builder) begin(lo, hi uint64) (uint64, bool) {
	if b.truncated {
		return 0, false
	}
	hi, ok := b.clip(lo, hi)
	if !ok {
		b.stats.Dropped++
		return 0, false
	}
	if b.rows.n > 0 {
		if lo <= b.start {
			b.stats.Dropped++
			return 0, false
		}
		b.settle(min(lo, b.end))
		for b.rows.n > 0 && b.pcAt(b.rows.n-1) >= lo {
			b.rows.pop()
		}
		b.last = 0
		if b.rows.n > 0 {
			b.last = b.rows.at(b.rows.n - 1).Rule
		}
		if lo >= b.end+padding {
			b.put(b.end, 0)
		}
	}
	b.start, b.end = lo, hi
	b.stats.Functions++
	return hi, true
}

func (b *builder) pcAt(i int) uint64 { return b.base + uint64(b.rows.at(i).PC) }

// row says that from pc, within the current function, a rule holds, or none
// because of a gap. Addresses must not descend.
func (b *builder) row(pc uint64, r Rule, why Gap) {
	if pc >= b.end || pc < b.start {
		return
	}
	b.settle(pc)
	n, ok := uint16(0), true
	if why == 0 {
		if n, ok = b.number(r); !ok {
			why = GapRules
		}
	}
	b.lost, b.lostFrom = why, pc
	b.put(pc, n)
}

// settle counts the bytes up to pc that the last row left without a rule.
func (b *builder) settle(pc uint64) {
	if b.lost != 0 && pc > b.lostFrom {
		b.stats.Gaps[b.lost] += pc - b.lostFrom
	}
	b.lost = 0
}

func (b *builder) put(pc uint64, rule uint16) {
	if b.truncated {
		return
	}
	if b.rows.n > 0 && b.pcAt(b.rows.n-1) >= pc {
		// Two advances by nothing, or a row that replaces the one before.
		b.rows.pop()
		b.last = 0
		if b.rows.n > 0 {
			b.last = b.rows.at(b.rows.n - 1).Rule
		}
	}
	if rule == b.last {
		return
	}
	if b.rows.n+1 >= b.opt.MaxRows {
		b.truncated = true
		rule = 0
	}
	b.rows.append(Row{uint32(pc - b.base), rule})
	b.last = rule
}

func (b *builder) finish() {
	if b.rows.n > 0 {
		b.settle(b.end)
		b.put(b.end, 0)
	}
}

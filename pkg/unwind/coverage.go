package unwind

// Source is where rows come from, best first.
type Source uint8

const (
	SourceGo Source = iota
	SourceEHFrame
	SourceDebugFrame
	SourcePLT
	SourceEntry
	SourceV8
	sources
)

func (s Source) String() string {
	return [...]string{".gopclntab", ".eh_frame", ".debug_frame", ".plt", "entry", "V8's symbols", "unknown"}[min(s, sources)]
}

// Gap is why code that is described has no rule.
type Gap uint8

const (
	_ Gap = iota
	// GapExpression: the CFA is an expression that no rule has.
	GapExpression
	// GapReturnAddress: the return address is where no rule can find it.
	GapReturnAddress
	// GapOffset: an offset too large for a rule.
	GapOffset
	// GapMalformed: call frame instructions that are wrong or unknown.
	GapMalformed
	// GapRules: more than Options.MaxRules distinct rules.
	GapRules
	gaps
)

func (g Gap) String() string {
	return [...]string{"", "unsupported expression", "return address elsewhere", "offset too large", "malformed", "too many rules", "unknown"}[min(g, gaps)]
}

// Coverage says how much of a file's code can be unwound.
type Coverage struct {
	// TextBytes is the size of executable sections, or segments if there are none.
	TextBytes uint64
	// CoveredBytes of these have a rule.
	CoveredBytes uint64
	// Kinds splits CoveredBytes.
	Kinds [kinds]uint64
	// Registers splits what of CoveredBytes finds the CFA by a register, by its DWARF
	// number. Others than stack, frame and base pointer are known in leaf frames only.
	Registers [32]uint64
	// LostFramePointer counts those of CoveredBytes after which the frame pointer is
	// unknown.
	LostFramePointer uint64
	Sources          [sources]SourceCoverage
	// Truncated: the table ended at Options.MaxRows.
	Truncated bool
}

// SourceCoverage says what came from one source.
type SourceCoverage struct {
	Functions uint64
	Bytes     uint64 // with a rule, before sources are merged
	// Gaps counts bytes that are described but have no rule. Another source may have.
	Gaps [gaps]uint64
	// Dropped functions lie in no executable segment, outside what was asked for,
	// or start where another one does.
	Dropped uint64
	// Malformed entries could not be read.
	Malformed uint64
	// BadIndex: .eh_frame_hdr was there but not sorted.
	BadIndex bool
	// Compressed: in a way that is not supported, or too large.
	Compressed bool
}

// Undescribed returns the bytes of code that no source says anything about.
func (c *Coverage) Undescribed() uint64 {
	known := c.CoveredBytes
	for _, s := range c.Sources {
		for _, n := range s.Gaps {
			known += n
		}
	}
	return c.TextBytes - min(c.TextBytes, known)
}

func (c *Coverage) add(s Source, b *builder) {
	for i := range b.rows.n {
		if b.rows.at(i).Rule != 0 && i+1 < b.rows.n {
			b.stats.Bytes += uint64(b.rows.at(i+1).PC - b.rows.at(i).PC)
		}
	}
	c.Sources[s] = b.stats
	c.Truncated = c.Truncated || b.truncated
}

// measure counts what of the code the rows of a table cover.
func (c *Coverage) measure(f *image, t *Table) {
	for _, s := range f.text() {
		c.TextBytes += s.hi - s.lo
		for i := max(t.Search(s.lo), 0); i < t.Len(); i++ {
			row := t.Row(i)
			lo := max(t.Base+uint64(row.PC), s.lo)
			hi := s.hi
			if i+1 < t.Len() {
				hi = min(hi, t.Base+uint64(t.Row(i+1).PC))
			}
			if lo >= s.hi {
				break
			}
			if row.Rule != 0 && lo < hi {
				c.count(t.Rules[row.Rule], hi-lo)
			}
		}
	}
}

func (c *Coverage) count(r Rule, n uint64) {
	c.CoveredBytes += n
	c.Kinds[r.Kind] += n
	switch r.Kind {
	case KindReg, KindDeref, KindRAReg, KindSwitch, KindIndexed:
		c.Registers[r.Reg] += n
	}
	if r.FP == FPLost {
		c.LostFramePointer += n
	}
}

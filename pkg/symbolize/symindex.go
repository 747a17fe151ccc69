package symbolize

import (
	"cmp"
	"debug/elf"
	"math"
	"slices"
	"sort"
	"strings"
)

// build turns candidates into the index: one name per address, an end for those
// without a size, and no labels inside functions.
func (s *symbols) build(all []candidate, f *file, text []Segment) {
	slices.SortFunc(all, func(a, b candidate) int {
		switch {
		case a.addr != b.addr:
			return cmp.Compare(a.addr, b.addr)
		case a.rank != b.rank:
			return cmp.Compare(a.rank, b.rank)
		case a.size != b.size:
			return cmp.Compare(b.size, a.size)
		case a.local != b.local:
			if a.local {
				return 1
			}
			return -1
		}
		return cmp.Compare(a.name, b.name)
	})
	all = s.dealias(all)
	bounds := sectionEnds(f)
	kept := 0
	var sizedEnd, markedEnd uint32
	for i, c := range all {
		end := c.addr + c.size
		switch c.rank {
		case rankSized:
			sizedEnd = max(sizedEnd, end)
		default:
			if c.addr < sizedEnd || (c.rank == rankLabel && c.addr < markedEnd) {
				continue
			}
			end = s.unsizedEnd(all[i:], bounds, text)
			if c.rank == rankMarked {
				markedEnd = end
			}
		}
		if end > c.addr {
			all[kept] = candidate{addr: c.addr, size: end - c.addr, name: c.name}
			kept++
		}
	}
	s.index = make([]symbol, kept)
	for i, c := range all[:kept] {
		s.index[i] = symbol{addr: c.addr, end: c.addr + c.size, name: c.name}
	}
	s.nest()
}

// dealias keeps one candidate per address: the first of the sort order, or the
// best named of those that are equal but for the name.
func (s *symbols) dealias(all []candidate) []candidate {
	kept := 0
	for i := 0; i < len(all); {
		best, j := all[i], i+1
		bestName := ""
		for ; j < len(all) && all[j].addr == best.addr; j++ {
			c := all[j]
			if j-i >= maxAliases || c.rank != best.rank || c.size != best.size || c.local != best.local || c.name == best.name {
				continue
			}
			if bestName == "" {
				bestName = s.alias(best.name)
			}
			if n := s.alias(c.name); betterName(n, bestName) {
				best, bestName = c, n
			}
		}
		all[kept] = best
		kept++
		i = j
	}
	return all[:kept]
}

// alias reads as much of a name as is needed to choose among aliases, of which a
// hostile table may have very many.
func (s *symbols) alias(off uint32) string {
	return unversioned(s.pages.cstring(s.strings+int64(off), s.stringsEnd, 256))
}

// betterName reports whether a says more to a reader than b, two names of one
// address: fewer leading underscores (write, not __write), then shorter, then
// alphabetical. Total, so that the choice is the same on every run.
func betterName(a, b string) bool {
	ua, ub := underscores(a), underscores(b)
	if ua != ub {
		return ua < ub
	}
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return a < b
}

func underscores(s string) int {
	return len(s) - len(strings.TrimLeft(s, "_"))
}

// sectionEnds returns the ends of the executable sections, by address.
func sectionEnds(f *file) []Segment {
	var out []Segment
	for _, s := range f.sections {
		if s.flags&elf.SHF_EXECINSTR != 0 && s.size > 0 {
			out = append(out, Segment{Vaddr: s.addr, Memsz: s.size})
		}
	}
	slices.SortFunc(out, func(a, b Segment) int { return cmp.Compare(a.Vaddr, b.Vaddr) })
	return out
}

// unsizedEnd returns where rest[0], which has no size, ends: at the next symbol
// that is not of a lesser rank, the end of the section, or maxUnsized.
func (s *symbols) unsizedEnd(rest []candidate, bounds, text []Segment) uint32 {
	c := rest[0]
	vaddr := s.base + uint64(c.addr)
	end := vaddr + maxUnsized
	if seg, ok := segmentOf(text, vaddr); ok {
		end = min(end, seg.Vaddr+seg.Memsz)
	}
	i := sort.Search(len(bounds), func(i int) bool { return bounds[i].Vaddr > vaddr }) - 1
	if i >= 0 && vaddr-bounds[i].Vaddr < bounds[i].Memsz {
		end = min(end, bounds[i].Vaddr+bounds[i].Memsz)
	}
	to := uint32(min(end-s.base, math.MaxUint32))
	for _, n := range rest[1:] {
		if n.addr >= to {
			break
		}
		if n.rank <= c.rank {
			return n.addr
		}
	}
	return to
}

// nest records for each symbol that starts inside another which one that is, so
// that an address behind the inner one still finds the outer.
func (s *symbols) nest() {
	var open []int32
	for i := range s.index {
		for len(open) > 0 && s.index[open[len(open)-1]].end <= s.index[i].addr {
			open = open[:len(open)-1]
		}
		if len(open) > 0 {
			if s.around == nil {
				s.around = make(map[uint32]int32)
			}
			s.around[uint32(i)] = open[len(open)-1]
		}
		open = append(open, int32(i))
	}
}

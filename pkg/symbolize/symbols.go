package symbolize

import (
	"debug/elf"
	"io"
	"math"
	"sort"
	"strings"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

const (
	// maxSymbols bounds the index at 48 MB. Chromium has about 1.5 million functions.
	maxSymbols = 4 << 20
	// maxUnsized is how far a symbol without a size reaches when nothing follows it:
	// hand-written assembly, whose hot loops are shorter than this.
	maxUnsized = 16 << 10
	// maxAliases bounds the names compared for one address.
	maxAliases = 32
	// maxNesting bounds the walk from an inner symbol to those around it.
	maxNesting = 64
)

// A symbol is a function of the index. Addresses are relative to the index's
// base, so that they fit; names stay in the file.
type symbol struct {
	addr, end uint32
	name      uint32 // offset in the string table
}

// symbols is a resolver over .symtab or .dynsym: 12 bytes a function, names read
// when asked for.
type symbols struct {
	pages      *pages
	base       uint64
	strings    int64 // file offset of the string table
	stringsEnd int64
	index      []symbol         // by addr, one per address
	around     map[uint32]int32 // symbol -> the one that starts before it and ends after its start
	separate   io.Closer        // the debug file that pages read, nil if they are the object's
}

// newSymbols indexes the functions of table, whose addresses must lie in text
// (executable segments of the object itself: a debug file's have no bytes). It
// returns nil if there are none.
func newSymbols(p *pages, f *file, table *section, text []Segment) *symbols {
	if table == nil || int(table.link) >= len(f.sections) || len(text) == 0 {
		return nil
	}
	str := &f.sections[table.link]
	if str.typ != elf.SHT_STRTAB || str.size == 0 || str.size > math.MaxUint32 {
		return nil
	}
	s := &symbols{pages: p, strings: int64(str.off), stringsEnd: int64(str.off + str.size)}
	s.base = text[0].Vaddr
	for _, seg := range text {
		s.base = min(s.base, seg.Vaddr)
	}
	// Twice through the table, so that the slice has the right size at once.
	n := 0
	s.each(f, table, text, func(candidate) bool { n++; return n < maxSymbols })
	all := make([]candidate, 0, n)
	s.each(f, table, text, func(c candidate) bool { all = append(all, c); return len(all) < n })
	s.build(all, f, text)
	if len(s.index) == 0 {
		return nil
	}
	return s
}

// frames implements resolver.
func (s *symbols) frames(vaddr uint64) []profile.Frame {
	if vaddr < s.base || vaddr-s.base > math.MaxUint32 {
		return nil
	}
	pc := uint32(vaddr - s.base)
	i := sort.Search(len(s.index), func(i int) bool { return s.index[i].addr > pc }) - 1
	for hop := 0; i >= 0 && hop < maxNesting; hop++ {
		if pc < s.index[i].end {
			if n := s.name(s.index[i].name); n != "" {
				return []profile.Frame{symbolFrame(n)}
			}
			return nil
		}
		up, ok := s.around[uint32(i)]
		if !ok {
			return nil
		}
		i = int(up)
	}
	return nil
}

func (s *symbols) name(off uint32) string {
	return unversioned(s.pages.cstring(s.strings+int64(off), s.stringsEnd, maxName))
}

// unversioned cuts the version that linkers append in .symtab
// ("memcpy@@GLIBC_2.14").
func unversioned(name string) string {
	if i := strings.IndexByte(name, '@'); i > 0 {
		return name[:i]
	}
	return name
}

func (s *symbols) memory() int64 {
	n := int64(cap(s.index))*12 + int64(len(s.around))*16
	if s.separate != nil {
		n += s.pages.memory()
	}
	return n
}

func (s *symbols) release() {
	if s.separate != nil {
		s.separate.Close()
	}
}

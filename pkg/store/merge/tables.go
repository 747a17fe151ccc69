package merge

import (
	"bytes"
	"cmp"
	"slices"
	"unicode/utf8"
)

// The tables of a Merger. Strings, mappings, functions, locations and label sets are numbers; 0 is none. In a document
// the same types hold the document's own numbers.

type span struct{ from, to uint32 }

type mapping struct {
	start, limit, offset uint64
	file, buildID        uint32
	has                  has
}

// has are the flags of a mapping: which names its locations have.
type has uint8

const (
	hasFunctions has = 1 << iota
	hasFilenames
	hasLineNumbers
	hasInlineFrames
)

// A mappingKey tells mappings apart as Merge does: where they were loaded does not count.
type mappingKey struct {
	size, offset uint64
	object       uint32 // build ID, or else file
}

type function struct {
	name, systemName, file uint32
	startLine              int64
}

type location struct {
	mapping uint32
	folded  bool
	address uint64
	lines   span
}

type line struct {
	function     uint32
	line, column int64
}

// A label is a string or a number with a unit.
type label struct {
	key     uint32
	numeric bool
	str     uint32 // the value, or the unit of a number
	num     int64
}

type sample struct {
	stack  span
	labels uint32
}

// links are the numbers in the Merger of what a document has, found when first used; 0 is not yet.
type links struct {
	strings, mappings, functions, locations []uint32
}

func (l *links) reset(d *document) {
	l.strings = zeroed(l.strings, len(d.strings))
	l.mappings = zeroed(l.mappings, len(d.mappings))
	l.functions = zeroed(l.functions, len(d.functions))
	l.locations = zeroed(l.locations, len(d.locations))
}

func zeroed(s []uint32, n int) []uint32 {
	s = slices.Grow(s[:0], n)[:n]
	clear(s)
	return s
}

// The methods below find what is equal to a part of the document, or enter it. They report false if it is not there and
// there is no room.

func (m *Merger) string(i uint32) (uint32, bool) {
	if i == 0 {
		return 0, true
	}
	if id := m.links.strings[i]; id != 0 {
		return id, true
	}
	id, ok := m.text(m.doc.strings[i])
	m.links.strings[i] = id
	return id, ok
}

func (m *Merger) text(b []byte) (uint32, bool) {
	if id, ok := m.texts[string(b)]; ok {
		return id, true
	}
	if !utf8.Valid(b) { // readers reject a whole profile for one such byte
		return m.text(bytes.ToValidUTF8(b, []byte("\uFFFD")))
	}
	if m.full() {
		return 0, false
	}
	s, id := string(b), uint32(len(m.strings))
	m.texts[s] = id
	m.strings = append(m.strings, s)
	m.size += int64(len(s) + 64)
	return id, true
}

func (m *Merger) mapping(i uint32) (uint32, bool) {
	if id := m.links.mappings[i]; id != 0 {
		return id, true
	}
	d := m.doc.mappings[i]
	file, ok := m.string(d.file)
	build, ok2 := m.string(d.buildID)
	if !ok || !ok2 {
		return 0, false
	}
	size := (d.limit - d.start + 0xfff) &^ 0xfff // Merge rounds to pages
	key := mappingKey{size: size, offset: d.offset, object: cmp.Or(build, file)}
	id, ok := m.mappingIndex[key]
	if !ok {
		if m.full() {
			return 0, false
		}
		id = uint32(len(m.mappings))
		m.mappingIndex[key] = id
		d.file, d.buildID = file, build
		m.mappings = append(m.mappings, d)
		m.size += 128
	}
	m.links.mappings[i] = id
	return id, true
}

func (m *Merger) function(i uint32) (uint32, bool) {
	if id := m.links.functions[i]; id != 0 {
		return id, true
	}
	f := m.doc.functions[i]
	name, ok := m.string(f.name)
	system, ok2 := m.string(f.systemName)
	file, ok3 := m.string(f.file)
	if !ok || !ok2 || !ok3 {
		return 0, false
	}
	id, ok := m.addFunction(function{name, system, file, f.startLine})
	m.links.functions[i] = id
	return id, ok
}

func (m *Merger) addFunction(f function) (uint32, bool) {
	if id, ok := m.functionIndex[f]; ok {
		return id, true
	}
	if m.full() {
		return 0, false
	}
	id := uint32(len(m.functions))
	m.functionIndex[f] = id
	m.functions = append(m.functions, f)
	m.size += 96
	return id, true
}

// location also moves the address to where the mapping was in the first profile that had it.
func (m *Merger) location(i uint32) (uint32, bool) {
	if id := m.links.locations[i]; id != 0 {
		return id, true
	}
	d := m.doc.locations[i]
	l := location{folded: d.folded, address: d.address}
	if d.mapping != 0 {
		id, ok := m.mapping(d.mapping - 1)
		if !ok {
			return 0, false
		}
		l.mapping = id
		l.address += m.mappings[id].start - m.doc.mappings[d.mapping-1].start
	}
	// The array is on the stack: few locations have more inlined calls.
	var room [16]line
	lines := room[:0]
	for _, n := range m.doc.lines[d.lines.from:d.lines.to] {
		fn, ok := m.function(n.function)
		if !ok {
			return 0, false
		}
		lines = append(lines, line{fn, n.line, n.column})
	}
	id, ok := m.addLocation(l, lines)
	m.links.locations[i] = id
	return id, ok
}

func (m *Merger) addLocation(l location, lines []line) (uint32, bool) {
	hash := mix(mix(m.seed, l.address), uint64(l.mapping))
	for _, n := range lines {
		hash = mix(mix(hash, uint64(n.function)), uint64(n.line))
	}
	id, ok := m.locationIndex.find(hash, func(id uint32) bool {
		o := &m.locations[id]
		return o.address == l.address && o.mapping == l.mapping && o.folded == l.folded &&
			slices.Equal(m.lines[o.lines.from:o.lines.to], lines)
	})
	if ok {
		return id, true
	}
	if m.full() {
		return 0, false
	}
	id = uint32(len(m.locations))
	m.locationIndex.insert(hash, id)
	from := uint32(len(m.lines))
	m.lines = append(m.lines, lines...)
	l.lines = span{from, uint32(len(m.lines))}
	m.locations = append(m.locations, l)
	m.size += int64(64 + 24*len(lines))
	return id, true
}

// labelSet enters labels without regard to their order, but for values of one key.
func (m *Merger) labelSet(labels []label) (uint32, bool) {
	if len(labels) == 0 {
		return 0, true
	}
	m.sorted = m.sorted[:0]
	for _, l := range labels {
		key, ok := m.string(l.key)
		str, ok2 := m.string(l.str)
		if !ok || !ok2 {
			return 0, false
		}
		if !l.numeric && str == 0 {
			continue // as if it were not there
		}
		m.sorted = append(m.sorted, label{key: key, numeric: l.numeric, str: str, num: l.num})
	}
	slices.SortStableFunc(m.sorted, func(a, b label) int {
		if a.numeric != b.numeric {
			if b.numeric {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.key, b.key)
	})
	return m.addLabels(m.sorted)
}

func (m *Merger) addLabels(labels []label) (uint32, bool) {
	if len(labels) == 0 {
		return 0, true
	}
	hash := m.seed
	for _, l := range labels {
		hash = mix(mix(hash, uint64(l.key)<<32|uint64(l.str)), uint64(l.num))
	}
	id, ok := m.labelIndex.find(hash, func(id uint32) bool {
		o := m.labelSets[id]
		return slices.Equal(m.labels[o.from:o.to], labels)
	})
	if ok {
		return id, true
	}
	if m.full() {
		return 0, false
	}
	id = uint32(len(m.labelSets))
	m.labelIndex.insert(hash, id)
	from := uint32(len(m.labels))
	m.labels = append(m.labels, labels...)
	m.labelSets = append(m.labelSets, span{from, uint32(len(m.labels))})
	m.size += int64(32 + 24*len(labels))
	return id, true
}

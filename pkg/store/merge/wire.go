package merge

import (
	"math/bits"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// AppendWire appends the sum to b as an uncompressed pprof profile with these comments and those of the profiles, and
// returns it. More can be added afterwards.
func (m *Merger) AppendWire(b []byte, comments ...string) []byte {
	m.settle()
	e := encoder{m: m, b: b, extra: map[string]uint32{}}
	for _, t := range m.header.sampleTypes {
		e.valueType(1, t)
	}
	e.samples()
	e.mappings()
	e.locations()
	for i, f := range m.functions[1:] {
		e.open(5)
		e.number(1, uint64(i+1))
		e.number(2, uint64(f.name))
		e.number(3, uint64(f.systemName))
		e.number(4, uint64(f.file))
		e.number(5, uint64(f.startLine))
		e.close()
	}
	h := &m.header
	drop, kept, typ, url := e.text(h.dropFrames), e.text(h.keptOnly), e.text(h.defaultType), e.text(h.docURL)
	e.valueType(11, h.periodType)
	for _, c := range m.comments() {
		if !slices.Contains(comments, c) {
			comments = append(comments, c)
		}
	}
	for _, c := range comments {
		e.b = protowire.AppendTag(e.b, 13, protowire.VarintType)
		e.b = protowire.AppendVarint(e.b, e.text(c))
	}
	for _, list := range [2][]string{m.strings, e.added} {
		for _, s := range list {
			e.b = protowire.AppendTag(e.b, 6, protowire.BytesType)
			e.b = protowire.AppendString(e.b, s)
		}
	}
	e.number(7, drop)
	e.number(8, kept)
	e.number(9, uint64(h.time))
	e.number(10, uint64(h.duration))
	e.number(12, uint64(h.period))
	e.number(14, typ)
	e.number(15, url)
	return e.b
}

// An encoder writes messages. The strings of the header are no part of the Merger's table, for which there may be no
// room.
type encoder struct {
	m     *Merger
	b     []byte
	start int // of the open message's content
	extra map[string]uint32
	added []string
}

func (e *encoder) text(s string) uint64 {
	if id, ok := e.m.texts[s]; ok {
		return uint64(id)
	}
	id, ok := e.extra[s]
	if !ok {
		id = uint32(len(e.m.strings) + len(e.added))
		e.extra[s] = id
		e.added = append(e.added, s)
	}
	return uint64(id)
}

func (e *encoder) number(num protowire.Number, v uint64) {
	if v != 0 {
		e.b = protowire.AppendTag(e.b, num, protowire.VarintType)
		e.b = protowire.AppendVarint(e.b, v)
	}
}

// open starts a message, close ends it. They do not nest.
func (e *encoder) open(num protowire.Number) {
	e.b = protowire.AppendTag(e.b, num, protowire.BytesType)
	e.b = append(e.b, 0) // length; most fit in a byte
	e.start = len(e.b)
}

func (e *encoder) close() {
	n := len(e.b) - e.start
	if extra := protowire.SizeVarint(uint64(n)) - 1; extra > 0 {
		e.b = append(e.b, make([]byte, extra)...)
		copy(e.b[e.start+extra:], e.b[e.start:e.start+n])
	}
	protowire.AppendVarint(e.b[:e.start-1], uint64(n))
}

func (e *encoder) valueType(num protowire.Number, t ValueType) {
	e.open(num)
	e.number(1, e.text(t.Type))
	e.number(2, e.text(t.Unit))
	e.close()
}

func (e *encoder) samples() {
	types := len(e.m.header.sampleTypes)
	for i := range e.m.samples {
		s := &e.m.samples[i]
		stack, values := e.m.stacks[s.stack.from:s.stack.to], e.m.values[i*types:][:types]
		e.open(2)
		size := 0
		for _, l := range stack {
			size += varintSize(uint64(l))
		}
		if size > 0 {
			e.b = protowire.AppendTag(e.b, 1, protowire.BytesType)
			e.b = protowire.AppendVarint(e.b, uint64(size))
			for _, l := range stack {
				e.b = protowire.AppendVarint(e.b, uint64(l))
			}
		}
		size = 0
		for _, v := range values {
			size += varintSize(uint64(v))
		}
		e.b = protowire.AppendTag(e.b, 2, protowire.BytesType)
		e.b = protowire.AppendVarint(e.b, uint64(size))
		for _, v := range values {
			e.b = protowire.AppendVarint(e.b, uint64(v))
		}
		set := e.m.labelSets[s.labels]
		for _, l := range e.m.labels[set.from:set.to] {
			e.label(l)
		}
		e.close()
	}
}

func (e *encoder) label(l label) {
	str, unit := uint64(l.str), uint64(0)
	if l.numeric {
		str, unit = 0, str
	}
	size := fieldSize(uint64(l.key)) + fieldSize(str) + fieldSize(uint64(l.num)) + fieldSize(unit)
	e.b = protowire.AppendTag(e.b, 3, protowire.BytesType)
	e.b = protowire.AppendVarint(e.b, uint64(size))
	e.number(1, uint64(l.key))
	e.number(2, str)
	e.number(3, uint64(l.num))
	e.number(4, unit)
}

func (e *encoder) mappings() {
	for i, m := range e.m.mappings[1:] {
		e.open(3)
		e.number(1, uint64(i+1))
		e.number(2, m.start)
		e.number(3, m.limit)
		e.number(4, m.offset)
		e.number(5, uint64(m.file))
		e.number(6, uint64(m.buildID))
		for bit := range 4 {
			e.number(protowire.Number(7+bit), uint64(m.has>>bit&1))
		}
		e.close()
	}
}

func (e *encoder) locations() {
	for i := range e.m.locations[1:] {
		l := &e.m.locations[i+1]
		e.open(4)
		e.number(1, uint64(i+1))
		e.number(2, uint64(l.mapping))
		e.number(3, l.address)
		for _, n := range e.m.lines[l.lines.from:l.lines.to] {
			e.b = protowire.AppendTag(e.b, 4, protowire.BytesType)
			e.b = protowire.AppendVarint(e.b,
				uint64(fieldSize(uint64(n.function))+fieldSize(uint64(n.line))+fieldSize(uint64(n.column))))
			e.number(1, uint64(n.function))
			e.number(2, uint64(n.line))
			e.number(3, uint64(n.column))
		}
		if l.folded {
			e.number(5, 1)
		}
		e.close()
	}
}

// fieldSize is the size of an optional number with its tag.
func fieldSize(v uint64) int {
	if v == 0 {
		return 0
	}
	return 1 + varintSize(v)
}

func varintSize(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

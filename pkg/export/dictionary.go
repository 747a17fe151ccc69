package export

import (
	"encoding/binary"

	"github.com/google/pprof/profile"
	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	otel "go.opentelemetry.io/proto/slim/otlp/profiles/v1development"
	"google.golang.org/protobuf/proto"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

// buildIDKey is OpenTelemetry's attribute for the build ID of a mapping (semantic conventions, process.executable).
const buildIDKey = "process.executable.build_id.gnu"

// A dictionary builds the tables that all profiles of a request share. Equal entries are stored once, by content: the
// profiles of 200 services share libc. Entry 0 of each table is the zero value.
type dictionary struct {
	tables *otel.ProfilesDictionary
	size   int // about, of everything in the request

	strings    map[string]int32
	entries    map[string]int32 // table and content -> index
	attributes map[prof.Label]int32
	known      map[*profile.Location]int32
	cut        *profile.Location
	key        []byte
}

func newDictionary() dictionary {
	return dictionary{
		tables: &otel.ProfilesDictionary{
			MappingTable: []*otel.Mapping{{}}, LocationTable: []*otel.Location{{}}, FunctionTable: []*otel.Function{{}},
			LinkTable:   []*otel.Link{{TraceId: make([]byte, 16), SpanId: make([]byte, 8)}},
			StringTable: []string{""}, AttributeTable: []*otel.KeyValueAndUnit{{}}, StackTable: []*otel.Stack{{}},
		},
		strings: map[string]int32{"": 0}, entries: make(map[string]int32), attributes: make(map[prof.Label]int32),
		known: make(map[*profile.Location]int32), cut: cutLocation(),
	}
}

func (d *dictionary) text(s string) int32 {
	if i, ok := d.strings[s]; ok {
		return i
	}
	i := int32(len(d.tables.StringTable))
	text := limit(s, maxText)
	d.tables.StringTable = append(d.tables.StringTable, text)
	d.strings[s] = i
	d.size += len(text) + 4
	return i
}

func (d *dictionary) valueType(t prof.ValueType) *otel.ValueType {
	if t.Type == "" {
		return nil
	}
	return &otel.ValueType{TypeStrindex: d.text(t.Type), UnitStrindex: d.text(t.Unit)}
}

// Tables, for keys of entries.
const (
	tableMapping = iota
	tableFunction
	tableLocation
	tableStack
)

// begin starts the key of an entry, and word adds to it.
func (d *dictionary) begin(table byte) { d.key = append(d.key[:0], table) }
func (d *dictionary) word(v uint64)    { d.key = binary.AppendUvarint(d.key, v) }

// enter returns the index of the entry whose key was built, and appends it to its table where it is new.
func enter[M proto.Message](d *dictionary, table *[]M, message func() M) int32 {
	if i, ok := d.entries[string(d.key)]; ok {
		return i
	}
	i := int32(len(*table))
	d.entries[string(d.key)] = i
	m := message()
	*table = append(*table, m)
	d.size += proto.Size(m) + 4
	return i
}

func (d *dictionary) stack(locations []*profile.Location) int32 {
	if len(locations) == 0 {
		return 0
	}
	locations = shorten(locations, d.cut)
	indices := make([]int32, len(locations))
	for i, l := range locations {
		indices[i] = d.location(l)
	}
	d.begin(tableStack)
	for _, i := range indices {
		d.word(uint64(i))
	}
	return enter(d, &d.tables.StackTable, func() *otel.Stack { return &otel.Stack{LocationIndices: indices} })
}

func (d *dictionary) location(l *profile.Location) int32 {
	if i, ok := d.known[l]; ok {
		return i
	}
	mapping := d.mapping(l.Mapping)
	lines := make([]*otel.Line, len(l.Line))
	for i, line := range l.Line {
		lines[i] = &otel.Line{FunctionIndex: d.function(line.Function), Line: line.Line, Column: line.Column}
	}
	d.begin(tableLocation)
	d.word(uint64(mapping))
	d.word(l.Address)
	for _, line := range lines {
		d.word(uint64(line.FunctionIndex))
		d.word(uint64(line.Line))
		d.word(uint64(line.Column))
	}
	i := enter(d, &d.tables.LocationTable, func() *otel.Location {
		return &otel.Location{MappingIndex: mapping, Address: l.Address, Lines: lines}
	})
	d.known[l] = i
	return i
}

func (d *dictionary) mapping(m *profile.Mapping) int32 {
	if m == nil {
		return 0
	}
	file, build := d.text(m.File), d.buildID(m.BuildID)
	d.begin(tableMapping)
	for _, v := range []uint64{m.Start, m.Limit, m.Offset, uint64(file), uint64(build)} {
		d.word(v)
	}
	return enter(d, &d.tables.MappingTable, func() *otel.Mapping {
		om := &otel.Mapping{MemoryStart: m.Start, MemoryLimit: m.Limit, FileOffset: m.Offset, FilenameStrindex: file}
		if build != 0 {
			om.AttributeIndices = []int32{build}
		}
		return om
	})
}

func (d *dictionary) buildID(id string) int32 {
	if id == "" {
		return 0
	}
	return d.attribute(buildIDKey, id)
}

func (d *dictionary) attribute(key, value string) int32 {
	pair := prof.Label{Key: key, Value: value}
	if i, ok := d.attributes[pair]; ok {
		return i
	}
	i := int32(len(d.tables.AttributeTable))
	a := &otel.KeyValueAndUnit{KeyStrindex: d.text(key), Value: &common.AnyValue{
		Value: &common.AnyValue_StringValue{StringValue: limit(value, maxLabelValue)},
	}}
	d.tables.AttributeTable = append(d.tables.AttributeTable, a)
	d.attributes[pair] = i
	d.size += proto.Size(a) + 4
	return i
}

func (d *dictionary) function(f *profile.Function) int32 {
	if f == nil {
		return 0
	}
	name, system, file := d.text(f.Name), d.text(f.SystemName), d.text(f.Filename)
	d.begin(tableFunction)
	for _, v := range []uint64{uint64(name), uint64(system), uint64(file), uint64(f.StartLine)} {
		d.word(v)
	}
	return enter(d, &d.tables.FunctionTable, func() *otel.Function {
		return &otel.Function{NameStrindex: name, SystemNameStrindex: system, FilenameStrindex: file, StartLine: f.StartLine}
	})
}

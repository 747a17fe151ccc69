package export

import (
	"strings"

	"github.com/google/pprof/profile"
	"google.golang.org/protobuf/encoding/protowire"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

// Fields of profile.proto (github.com/google/pprof/proto/profile.proto) by message.
const (
	fieldSampleType, fieldSample, fieldMapping, fieldLocation, fieldFunction, fieldString = 1, 2, 3, 4, 5, 6
	fieldTime, fieldDuration, fieldPeriodType, fieldPeriod, fieldDefaultType              = 9, 10, 11, 12, 14

	valueTypeType, valueTypeUnit                                                    = 1, 2
	sampleLocation, sampleValue, sampleLabel                                        = 1, 2, 3
	labelKey, labelText                                                             = 1, 2
	mappingID, mappingStart, mappingLimit, mappingOffset, mappingFile, mappingBuild = 1, 2, 3, 4, 5, 6
	mappingFunctions, mappingFilenames, mappingLines, mappingInlines                = 7, 8, 9, 10
	locationID, locationMapping, locationAddress, locationLine, locationFolded      = 1, 2, 3, 4, 5
	lineFunction, lineNumber                                                        = 1, 2
	functionID, functionName, functionSystemName, functionFile, functionStart       = 1, 2, 3, 4, 5
	entryCost                                                                       = 48 // numbers, tags and lengths of one entry of a table
)

// A pprofHeader is what all pieces of one profile share.
type pprofHeader struct {
	types             []profile.ValueType // - replaced in their names
	period            profile.ValueType
	periodValue       int64
	time, duration    int64 // nanoseconds
	defaultSampleType string
}

// newPprofHeader takes the header of p for a profile that starts at nanos. A profile without a period type gets its
// main sample type as one: it is part of the name of the series.
func newPprofHeader(p *profile.Profile, nanos, duration int64) pprofHeader {
	h := pprofHeader{time: nanos, duration: duration, periodValue: p.Period}
	for _, t := range p.SampleType {
		h.types = append(h.types, profile.ValueType{Type: typeName(t.Type), Unit: typeName(t.Unit)})
	}
	h.defaultSampleType = typeName(p.DefaultSampleType)
	if p.DefaultSampleType == "" {
		h.defaultSampleType = h.types[len(h.types)-1].Type
	}
	h.period = h.types[len(h.types)-1]
	if p.PeriodType != nil && p.PeriodType.Type != "" {
		h.period = profile.ValueType{Type: typeName(p.PeriodType.Type), Unit: typeName(p.PeriodType.Unit)}
	}
	return h
}

// typeName makes a name that the server takes: it refuses a sample type with a dash.
func typeName(s string) string { return limit(strings.ReplaceAll(s, "-", "_"), maxLabelName) }

// A pprofWriter encodes one profile sample by sample and knows its size all the time. Nothing of the profile that it
// is fed from is changed, which others read at the same time: profile.Profile's own Write numbers its parts in place.
type pprofWriter struct {
	buf       []byte // entries of all tables as they come; their order across tables means nothing
	samples   int
	strings   map[string]uint64
	mappings  map[*profile.Mapping]uint64
	locations map[*profile.Location]uint64
	functions map[*profile.Function]uint64
	scratch   []byte
}

func newPprofWriter(h pprofHeader) *pprofWriter {
	w := &pprofWriter{
		strings:   make(map[string]uint64),
		mappings:  make(map[*profile.Mapping]uint64),
		locations: make(map[*profile.Location]uint64),
		functions: make(map[*profile.Function]uint64),
	}
	w.text("")
	for _, t := range h.types {
		w.valueType(fieldSampleType, t)
	}
	w.valueType(fieldPeriodType, h.period)
	w.buf = appendUint(w.buf, fieldTime, uint64(h.time))
	w.buf = appendUint(w.buf, fieldDuration, uint64(h.duration))
	w.buf = appendUint(w.buf, fieldPeriod, uint64(h.periodValue))
	defaultType := w.text(h.defaultSampleType)
	w.buf = appendUint(w.buf, fieldDefaultType, defaultType)
	return w
}

// cost is at least what a stack would add to the size.
func (w *pprofWriter) cost(s stackSum) int {
	n := entryCost + 10*(len(s.locations)+len(s.values)+3*len(s.labels))
	for _, l := range s.labels {
		n += textCost(l.Key) + textCost(l.Value)
	}
	for _, l := range s.locations {
		if _, ok := w.locations[l]; ok {
			continue
		}
		n += entryCost
		if m := l.Mapping; m != nil && w.mappings[m] == 0 {
			n += 2*entryCost + textCost(m.File) + textCost(m.BuildID)
		}
		for _, line := range l.Line {
			n += 24
			if f := line.Function; f != nil && w.functions[f] == 0 {
				n += entryCost + textCost(f.Name) + textCost(f.SystemName) + textCost(f.Filename)
			}
		}
	}
	return n
}

// textCost bounds the bytes of a string in the table: a byte that is not UTF-8 becomes three.
func textCost(s string) int { return min(3*len(s), maxText) + 8 }

func (w *pprofWriter) add(s stackSum) {
	ids := make([]uint64, len(s.locations))
	for i, l := range s.locations {
		ids[i] = w.location(l)
	}
	pairs := make([]uint64, 0, 2*prof.MaxExtra)
	for _, l := range s.labels {
		pairs = append(pairs, w.text(labelName(l.Key)), w.text(l.Value))
	}
	m := w.scratch[:0]
	m = appendPacked(m, sampleLocation, ids)
	values := ids[:0]
	for _, v := range s.values {
		values = append(values, uint64(v))
	}
	m = appendPacked(m, sampleValue, values)
	for i := 0; i < len(pairs); i += 2 {
		m = protowire.AppendTag(m, sampleLabel, protowire.BytesType)
		m = protowire.AppendVarint(m, uint64(2+protowire.SizeVarint(pairs[i])+protowire.SizeVarint(pairs[i+1])))
		m = appendUint(m, labelKey, pairs[i])
		m = appendUint(m, labelText, pairs[i+1])
	}
	w.message(fieldSample, m)
	w.samples++
}

func (w *pprofWriter) location(l *profile.Location) uint64 {
	if id := w.locations[l]; id != 0 {
		return id
	}
	id := uint64(len(w.locations) + 1)
	w.locations[l] = id
	mapping := w.mapping(l.Mapping)
	functions := make([]uint64, len(l.Line))
	for i, line := range l.Line {
		functions[i] = w.function(line.Function)
	}
	m := appendUint(w.scratch[:0], locationID, id)
	m = appendUint(m, locationMapping, mapping)
	m = appendUint(m, locationAddress, l.Address)
	for i, line := range l.Line {
		n := 0
		if functions[i] != 0 {
			n += 1 + protowire.SizeVarint(functions[i])
		}
		if line.Line != 0 {
			n += 1 + protowire.SizeVarint(uint64(line.Line))
		}
		m = protowire.AppendTag(m, locationLine, protowire.BytesType)
		m = protowire.AppendVarint(m, uint64(n))
		m = appendUint(m, lineFunction, functions[i])
		m = appendUint(m, lineNumber, uint64(line.Line))
	}
	m = appendBool(m, locationFolded, l.IsFolded)
	w.message(fieldLocation, m)
	return id
}

func (w *pprofWriter) mapping(p *profile.Mapping) uint64 {
	if p == nil {
		return 0
	}
	if id := w.mappings[p]; id != 0 {
		return id
	}
	id := uint64(len(w.mappings) + 1)
	w.mappings[p] = id
	file, build := w.text(p.File), w.text(p.BuildID)
	m := appendUint(w.scratch[:0], mappingID, id)
	m = appendUint(m, mappingStart, p.Start)
	m = appendUint(m, mappingLimit, p.Limit)
	m = appendUint(m, mappingOffset, p.Offset)
	m = appendUint(m, mappingFile, file)
	m = appendUint(m, mappingBuild, build)
	m = appendBool(m, mappingFunctions, p.HasFunctions)
	m = appendBool(m, mappingFilenames, p.HasFilenames)
	m = appendBool(m, mappingLines, p.HasLineNumbers)
	m = appendBool(m, mappingInlines, p.HasInlineFrames)
	w.message(fieldMapping, m)
	return id
}

func (w *pprofWriter) function(f *profile.Function) uint64 {
	if f == nil {
		return 0
	}
	if id := w.functions[f]; id != 0 {
		return id
	}
	id := uint64(len(w.functions) + 1)
	w.functions[f] = id
	name, system, file := w.text(f.Name), w.text(f.SystemName), w.text(f.Filename)
	m := appendUint(w.scratch[:0], functionID, id)
	m = appendUint(m, functionName, name)
	m = appendUint(m, functionSystemName, system)
	m = appendUint(m, functionFile, file)
	m = appendUint(m, functionStart, uint64(f.StartLine))
	w.message(fieldFunction, m)
	return id
}

func (w *pprofWriter) valueType(field protowire.Number, t profile.ValueType) {
	name, unit := w.text(t.Type), w.text(t.Unit)
	m := appendUint(w.scratch[:0], valueTypeType, name)
	w.message(field, appendUint(m, valueTypeUnit, unit))
}

// text returns the index of s in the string table. One byte that is not UTF-8 would cost the whole profile.
func (w *pprofWriter) text(s string) uint64 {
	if i, ok := w.strings[s]; ok {
		return i
	}
	i := uint64(len(w.strings))
	w.strings[s] = i
	w.buf = protowire.AppendTag(w.buf, fieldString, protowire.BytesType)
	w.buf = protowire.AppendString(w.buf, limit(s, maxText))
	return i
}

// message appends m, which is built in scratch.
func (w *pprofWriter) message(field protowire.Number, m []byte) {
	w.buf = protowire.AppendTag(w.buf, field, protowire.BytesType)
	w.buf = protowire.AppendBytes(w.buf, m)
	w.scratch = m
}

func appendUint(b []byte, field protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.VarintType)
	return protowire.AppendVarint(b, v)
}

func appendBool(b []byte, field protowire.Number, v bool) []byte {
	if !v {
		return b
	}
	return appendUint(b, field, 1)
}

func appendPacked(b []byte, field protowire.Number, values []uint64) []byte {
	if len(values) == 0 {
		return b
	}
	n := 0
	for _, v := range values {
		n += protowire.SizeVarint(v)
	}
	b = protowire.AppendTag(b, field, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(n))
	for _, v := range values {
		b = protowire.AppendVarint(b, v)
	}
	return b
}

package merge

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

// A document is one profile with its references resolved: strings, functions and samples' locations are positions in its
// own tables, the mapping of a location is a position plus one. It is used again for the next one.
type document struct {
	header    header
	strings   [][]byte
	mappings  []mapping
	functions []function
	locations []location
	lines     []line
	samples   []docSample
	stacks    []uint32
	values    []int64
	labels    []label

	wire wire
}

type docSample struct{ stack, values, labels span }

// Limits of one document, well above what a profile of an hour has.
const (
	maxRecords = 1 << 20 // of each table but strings, stacks and values
	maxItems   = 1 << 24 // of those
)

var errLarge = errors.New("too many records")

func (d *document) reset() {
	d.header = header{}
	d.strings, d.mappings, d.functions = d.strings[:0], d.mappings[:0], d.functions[:0]
	d.locations, d.lines, d.samples = d.locations[:0], d.lines[:0], d.samples[:0]
	d.stacks, d.values, d.labels = d.stacks[:0], d.values[:0], d.labels[:0]
}

// check says whether the tables are within their limits.
func (d *document) check() error {
	if max(len(d.mappings), len(d.functions), len(d.locations), len(d.lines), len(d.samples)) > maxRecords ||
		max(len(d.strings), len(d.stacks), len(d.values), len(d.labels)) > maxItems {
		return errLarge
	}
	return nil
}

// text returns the string with a number, safe for protobuf.
func (d *document) text(i uint32) string { return strings.ToValidUTF8(string(d.strings[i]), "\uFFFD") }

// AddProfile adds p, which is only read, and not kept. After an error the sum is what it was before.
func (m *Merger) AddProfile(p *profile.Profile) error {
	if err := p.CheckValid(); err != nil {
		return err
	}
	m.doc.reset()
	in := importer{d: &m.doc, texts: map[string]uint32{}}
	if err := in.profile(p); err != nil {
		return err
	}
	return m.addDocument()
}

// An importer turns a profile.Profile into a document.
type importer struct {
	d         *document
	texts     map[string]uint32
	mappings  map[*profile.Mapping]uint32
	functions map[*profile.Function]uint32
	locations map[*profile.Location]uint32
}

func (in *importer) text(s string) uint32 {
	i, ok := in.texts[s]
	if !ok {
		i = uint32(len(in.d.strings))
		in.texts[s] = i
		in.d.strings = append(in.d.strings, []byte(strings.ToValidUTF8(s, "\uFFFD")))
	}
	return i
}

func (in *importer) profile(p *profile.Profile) error {
	d := in.d
	in.text("")
	in.header(p)
	in.mappings = make(map[*profile.Mapping]uint32, len(p.Mapping))
	for i, m := range p.Mapping {
		in.mappings[m] = uint32(i + 1)
		d.mappings = append(d.mappings, mapping{
			start: m.Start, limit: m.Limit, offset: m.Offset, file: in.text(m.File), buildID: in.text(m.BuildID),
			has: flag(m.HasFunctions, hasFunctions) | flag(m.HasFilenames, hasFilenames) |
				flag(m.HasLineNumbers, hasLineNumbers) | flag(m.HasInlineFrames, hasInlineFrames),
		})
	}
	in.functions = make(map[*profile.Function]uint32, len(p.Function))
	for i, f := range p.Function {
		in.functions[f] = uint32(i)
		d.functions = append(d.functions,
			function{in.text(f.Name), in.text(f.SystemName), in.text(f.Filename), f.StartLine})
	}
	in.locations = make(map[*profile.Location]uint32, len(p.Location))
	for i, l := range p.Location {
		in.locations[l] = uint32(i)
		from := uint32(len(d.lines))
		for _, n := range l.Line {
			d.lines = append(d.lines, line{in.functions[n.Function], n.Line, n.Column})
		}
		d.locations = append(d.locations, location{
			mapping: in.mappings[l.Mapping], folded: l.IsFolded, address: l.Address,
			lines: span{from, uint32(len(d.lines))},
		})
	}
	for _, s := range p.Sample {
		if err := in.sample(s); err != nil {
			return err
		}
	}
	return d.check()
}

func (in *importer) header(p *profile.Profile) {
	h := &in.d.header
	for _, t := range p.SampleType {
		h.sampleTypes = append(h.sampleTypes, ValueType{t.Type, t.Unit})
	}
	if p.PeriodType != nil {
		h.periodType = ValueType{p.PeriodType.Type, p.PeriodType.Unit}
	}
	h.period, h.time, h.duration = p.Period, p.TimeNanos, p.DurationNanos
	h.comments = slices.Clone(p.Comments)
	h.defaultType, h.docURL, h.dropFrames, h.keptOnly = p.DefaultSampleType, p.DocURL, p.DropFrames, p.KeepFrames
}

func (in *importer) sample(s *profile.Sample) error {
	d := in.d
	var out docSample
	out.stack.from, out.values.from, out.labels.from = uint32(len(d.stacks)), uint32(len(d.values)), uint32(len(d.labels))
	if len(d.stacks)+len(s.Location) > maxItems || len(d.values)+len(s.Value) > maxItems || len(d.labels) > maxItems {
		return errLarge
	}
	for _, l := range s.Location {
		i, ok := in.locations[l]
		if !ok {
			return fmt.Errorf("a sample has a location that is not in the profile: %d", l.ID)
		}
		d.stacks = append(d.stacks, i)
	}
	d.values = append(d.values, s.Value...)
	for _, key := range slices.Sorted(maps.Keys(s.Label)) {
		for _, v := range s.Label[key] {
			d.labels = append(d.labels, label{key: in.text(key), str: in.text(v)})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.NumLabel)) {
		units := s.NumUnit[key]
		for i, v := range s.NumLabel[key] {
			l := label{key: in.text(key), numeric: true, num: v}
			if i < len(units) {
				l.str = in.text(units[i])
			}
			if v != 0 || l.str != 0 { // else the format has no place for it
				d.labels = append(d.labels, l)
			}
		}
	}
	out.stack.to, out.values.to, out.labels.to = uint32(len(d.stacks)), uint32(len(d.values)), uint32(len(d.labels))
	d.samples = append(d.samples, out)
	return nil
}

func flag(on bool, f has) has {
	if on {
		return f
	}
	return 0
}

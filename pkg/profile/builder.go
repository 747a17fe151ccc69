package profile

import (
	"encoding/binary"
	"hash/maphash"
	"slices"
	"strings"
	"time"

	"github.com/google/pprof/profile"
)

// A ValueType names one number of a sample and its unit, such as cpu/nanoseconds.
type ValueType struct{ Type, Unit string }

// BuilderOptions describe a profile as a whole. SampleTypes must not be empty; by
// convention samples/count is the first and the event's own type the last, which
// becomes the default sample type unless DefaultType names another.
type BuilderOptions struct {
	SampleTypes []ValueType
	DefaultType string // "": the last
	PeriodType  ValueType
	Period      int64 // in PeriodType's unit; 0 when samples are not periodic
	Start       time.Time
	Duration    time.Duration
	Comments    []string // free text, one line each; see LostComment
}

// Labels tell whose stack a sample is. Zero fields are omitted.
type Labels struct {
	Comm      string
	PID, TID  int64
	Service   string
	Container string
	Stack     string // why the stack is not complete
	Extra     Extra  // what the sample's kind adds
}

// A Builder collects samples into one valid profile. Mappings, functions,
// locations and samples that are equal are stored once. It is not safe for
// concurrent use.
type Builder struct {
	p *profile.Profile

	mappings  map[Mapping]*profile.Mapping
	functions map[functionKey]*profile.Function
	locations map[locationKey]*profile.Location
	labels    map[Labels]*labelSet

	seed    maphash.Seed
	scratch []byte
	heads   map[uint64]int32 // hash of stack and labels -> last sample with it
	samples []builtSample
}

type functionKey struct {
	name, systemName, file string
	startLine              int64
}

// A locationKey has fn only where the address alone does not tell locations
// apart: pseudo mappings such as [jit] are shared by many processes.
type locationKey struct {
	mapping *profile.Mapping
	addr    uint64
	fn      *profile.Function
	line    int64
}

// A labelSet is shared by all samples with equal labels.
type labelSet struct {
	order uint64
	str   map[string][]string
	num   map[string][]int64
}

type builtSample struct {
	sample *profile.Sample
	labels *labelSet
	prev   int32 // index of the previous sample with the same hash, or -1
}

// NewBuilder returns an empty Builder.
func NewBuilder(o BuilderOptions) *Builder {
	p := &profile.Profile{
		PeriodType:    &profile.ValueType{Type: text(o.PeriodType.Type), Unit: text(o.PeriodType.Unit)},
		Period:        o.Period,
		DurationNanos: int64(o.Duration),
	}
	if !o.Start.IsZero() {
		p.TimeNanos = o.Start.UnixNano()
	}
	for _, t := range o.SampleTypes {
		p.SampleType = append(p.SampleType, &profile.ValueType{Type: text(t.Type), Unit: text(t.Unit)})
	}
	if n := len(p.SampleType); n > 0 {
		p.DefaultSampleType = p.SampleType[n-1].Type
	}
	if o.DefaultType != "" {
		p.DefaultSampleType = text(o.DefaultType)
	}
	for _, c := range o.Comments {
		p.Comments = append(p.Comments, text(c))
	}
	return &Builder{
		p:         p,
		mappings:  make(map[Mapping]*profile.Mapping),
		functions: make(map[functionKey]*profile.Function),
		locations: make(map[locationKey]*profile.Location),
		labels:    make(map[Labels]*labelSet),
		seed:      maphash.MakeSeed(),
		heads:     make(map[uint64]int32),
	}
}

// Location returns the location of addr in m, creating it on first sight. Frames
// are innermost first; without any, renderers name the location after its module
// and address. The zero Mapping means that the module is unknown. Frames of an
// object file's address are those of the first call for it.
func (b *Builder) Location(m Mapping, addr uint64, frames []Frame) *profile.Location {
	key := locationKey{mapping: b.mapping(m), addr: addr}
	if m.Limit == 0 && len(frames) > 0 {
		key.fn, key.line = b.function(frames[0]), frames[0].Line
	}
	if l := b.locations[key]; l != nil {
		return l
	}
	l := &profile.Location{Mapping: key.mapping, Address: addr}
	if len(frames) > 0 {
		l.Line = make([]profile.Line, len(frames))
	}
	for i, f := range frames {
		l.Line[i] = profile.Line{Function: b.function(f), Line: f.Line}
	}
	b.add(key, l)
	return l
}

// Marker returns a location that stands for no code: why a stack ends, or what
// was left out. By convention its name is in brackets, such as "[truncated]".
func (b *Builder) Marker(name string) *profile.Location {
	return b.Location(Mapping{}, 0, []Frame{{Name: name}})
}

// Sample adds values, one per sample type, to the stack locs (leaf first) with
// these labels. Locations must come from this Builder; locs is copied. It returns
// the sample of the profile that has them, which is not to be changed.
func (b *Builder) Sample(locs []*profile.Location, labels Labels, values ...int64) *profile.Sample {
	set := b.labelSet(labels)
	b.scratch = binary.AppendUvarint(b.scratch[:0], set.order)
	for _, l := range locs {
		b.scratch = binary.AppendUvarint(b.scratch, l.ID)
	}
	hash := maphash.Bytes(b.seed, b.scratch)
	last, seen := b.heads[hash]
	if !seen {
		last = -1
	}
	for i := last; i >= 0; i = b.samples[i].prev {
		if s := b.samples[i]; s.labels == set && slices.Equal(s.sample.Location, locs) {
			addValues(s.sample.Value, values)
			return s.sample
		}
	}
	s := &profile.Sample{
		Location: slices.Clone(locs),
		Value:    make([]int64, len(b.p.SampleType)),
		Label:    set.str,
		NumLabel: set.num,
	}
	addValues(s.Value, values)
	b.heads[hash] = int32(len(b.samples))
	b.samples = append(b.samples, builtSample{sample: s, labels: set, prev: last})
	return s
}

func addValues(sum, values []int64) {
	for i := range min(len(sum), len(values)) {
		sum[i] = addSaturated(sum[i], values[i])
	}
}

func (b *Builder) add(key locationKey, l *profile.Location) {
	l.ID = uint64(len(b.p.Location) + 1)
	b.p.Location = append(b.p.Location, l)
	b.locations[key] = l
}

func (b *Builder) mapping(m Mapping) *profile.Mapping {
	if m == (Mapping{}) {
		return nil
	}
	if pm := b.mappings[m]; pm != nil {
		return pm
	}
	pm := &profile.Mapping{
		Start: m.Start, Limit: m.Limit, Offset: m.Offset,
		File: text(m.File), BuildID: text(m.BuildID),
	}
	b.p.Mapping = append(b.p.Mapping, pm)
	pm.ID = uint64(len(b.p.Mapping))
	b.mappings[m] = pm
	return pm
}

func (b *Builder) function(f Frame) *profile.Function {
	key := functionKey{f.Name, f.SystemName, f.File, f.StartLine}
	if fn := b.functions[key]; fn != nil {
		return fn
	}
	fn := &profile.Function{
		Name: text(f.Name), SystemName: text(f.SystemName),
		Filename: text(f.File), StartLine: f.StartLine,
	}
	if f.SystemName == "" {
		fn.SystemName = fn.Name
	}
	b.p.Function = append(b.p.Function, fn)
	fn.ID = uint64(len(b.p.Function))
	b.functions[key] = fn
	return fn
}

func (b *Builder) labelSet(l Labels) *labelSet {
	if set := b.labels[l]; set != nil {
		return set
	}
	set := &labelSet{order: uint64(len(b.labels) + 1)}
	for _, s := range append(l.Extra.Labels(), // what has a field of its own stands
		Label{LabelComm, l.Comm}, Label{LabelService, l.Service}, Label{LabelContainer, l.Container}, Label{LabelStack, l.Stack}) {
		if s.Value == "" {
			continue
		}
		if set.str == nil {
			set.str = make(map[string][]string)
		}
		set.str[s.Key] = []string{text(s.Value)}
	}
	for _, n := range []struct {
		key   string
		value int64
	}{{LabelPID, l.PID}, {LabelTID, l.TID}} {
		if n.value == 0 {
			continue
		}
		if set.num == nil {
			set.num = make(map[string][]int64)
		}
		set.num[n.key] = []int64{n.value}
	}
	b.labels[l] = set
	return set
}

// text makes s fit for protobuf: readers reject a whole profile for one byte that
// is not UTF-8.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

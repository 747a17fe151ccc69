// Package merge adds up many pprof profiles in bounded memory. It reads and writes the wire format of profile.proto
// itself: google/pprof's Merge gives the same answer, but makes an object of every sample, location and map of labels
// of every file that it is given.
package merge

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// ErrIncompatible means that a profile has other sample types, or another period type, than those before it.
var ErrIncompatible = errors.New("other sample types")

// LeftOut is the name of the marker that stands for the stacks for which there was no memory.
const LeftOut = "[left out]"

// A Merger holds the sum of the profiles that it was given. It is not safe for concurrent use.
//
// The sum is that of google/pprof's Merge, with these differences: sums saturate, an empty label is no label, at most
// maxComments comments are kept, and coverages in comments are added up (profile.Coverage).
type Merger struct {
	limit  int64 // bytes
	size   int64 // bytes, about, of the tables below
	header header
	seed   uint64

	texts     map[string]uint32 // the string -> its number
	strings   []string          // [0] is ""
	mappings  []mapping         // the others count from 1 too: 0 means none
	functions []function
	locations []location
	lines     []line
	labelSets []span // of labels; [0] is the empty one
	labels    []label
	samples   []sample
	stacks    []uint32 // locations, leaf first
	values    []int64

	mappingIndex  map[mappingKey]uint32
	functionIndex map[function]uint32
	locationIndex index
	labelIndex    index
	sampleIndex   index

	doc     document
	links   links
	scratch []uint32
	sorted  []label
	leftOut []int64
	sums    []int64
	merged  int
	weight  int64   // of what is added; 0 is 1
	product []int64 // scratch of weighted

	coverage profile.Coverage // the sum of those that comments tell of
	covered  bool             // one did
}

// maxComments bounds what is kept of free text: it is the same in nearly every window.
const maxComments = 64

// New returns an empty Merger. Its tables take about limit bytes: after that, new stacks are counted by the marker
// LeftOut. Zero means DefaultLimit.
func New(limit int64) *Merger {
	if limit == 0 {
		limit = DefaultLimit
	}
	return &Merger{
		limit: limit, seed: newSeed(),
		texts: map[string]uint32{"": 0}, strings: []string{""},
		mappings: make([]mapping, 1), functions: make([]function, 1), locations: make([]location, 1),
		labelSets:    make([]span, 1),
		mappingIndex: map[mappingKey]uint32{}, functionIndex: map[function]uint32{},
	}
}

// DefaultLimit is the memory of a Merger that was not told otherwise. A Profile made of it takes about three times as
// much.
const DefaultLimit = 64 << 20

// Add adds an uncompressed pprof profile. The bytes are not kept. After an error the sum is what it was before.
func (m *Merger) Add(wire []byte) error {
	if err := m.doc.parse(wire); err != nil {
		return err
	}
	return m.addDocument()
}

func (m *Merger) addDocument() error {
	d := &m.doc
	if err := m.addHeader(&d.header); err != nil {
		return err
	}
	m.links.reset(d)
	if len(m.mappings) == 1 && len(d.mappings) > 0 {
		m.mapping(0) // the first mapping is the main binary
	}
	for i := range d.samples {
		m.addSample(&d.samples[i])
	}
	m.merged++
	return nil
}

func (m *Merger) addHeader(h *header) error {
	if m.merged == 0 {
		m.header = h.clone()
		m.header.comments = nil
		m.leftOut, m.sums = make([]int64, len(h.sampleTypes)), make([]int64, len(h.sampleTypes))
	} else if !slices.Equal(h.sampleTypes, m.header.sampleTypes) || h.periodType != m.header.periodType {
		return fmt.Errorf("%w: %v per %v after %v per %v", ErrIncompatible,
			h.sampleTypes, h.periodType, m.header.sampleTypes, m.header.periodType)
	} else {
		m.header.add(h)
	}
	for _, c := range h.comments {
		if covered, ok := profile.ParseCoverage(c); ok {
			m.coverage, m.covered = m.coverage.Add(covered), true
			continue
		}
		if len(m.header.comments) < maxComments && !slices.Contains(m.header.comments, c) {
			m.header.comments = append(m.header.comments, c)
		}
	}
	return nil
}

// addSample adds a sample of the document. Its locations are entered in the order of the stack, as Merge does.
func (m *Merger) addSample(s *docSample) {
	values := m.weighted(m.doc.values[s.values.from:s.values.to])
	zero := true
	for i, v := range values {
		m.sums[i] = addSaturated(m.sums[i], v)
		zero = zero && v == 0
	}
	if zero {
		return
	}
	m.scratch = m.scratch[:0]
	complete := true
	for _, l := range m.doc.stacks[s.stack.from:s.stack.to] {
		id, ok := m.location(l)
		complete = complete && ok
		m.scratch = append(m.scratch, id)
	}
	set, ok := m.labelSet(m.doc.labels[s.labels.from:s.labels.to])
	if !complete || !ok || !m.count(m.scratch, set, values) {
		for i, v := range values {
			m.leftOut[i] = addSaturated(m.leftOut[i], v)
		}
	}
}

// count adds values to a stack with labels. It reports false when the stack is new and there is no room.
func (m *Merger) count(stack []uint32, set uint32, values []int64) bool {
	hash := mix(m.seed, uint64(set))
	for _, l := range stack {
		hash = mix(hash, uint64(l))
	}
	id, ok := m.sampleIndex.find(hash, func(id uint32) bool {
		s := &m.samples[id]
		return s.labels == set && slices.Equal(m.stacks[s.stack.from:s.stack.to], stack)
	})
	if ok {
		sum := m.values[int(id)*len(values):][:len(values)]
		for i, v := range values {
			sum[i] = addSaturated(sum[i], v)
		}
		return true
	}
	if m.full() {
		return false
	}
	m.sampleIndex.insert(hash, uint32(len(m.samples)))
	from := uint32(len(m.stacks))
	m.stacks = append(m.stacks, stack...)
	m.samples = append(m.samples, sample{stack: span{from, uint32(len(m.stacks))}, labels: set})
	m.values = append(m.values, values...)
	m.size += int64(4*len(stack) + 8*len(values) + 48)
	return true
}

// comments are those of the sum.
func (m *Merger) comments() []string {
	out := slices.Clone(m.header.comments)
	if m.covered {
		out = append(out, m.coverage.Comment())
	}
	return out
}

func (m *Merger) full() bool { return m.size >= m.limit }

// Merged is the number of profiles that were added.
func (m *Merger) Merged() int { return m.merged }

// Sums returns the sum of each sample type over all samples, those that were left out included.
func (m *Merger) Sums() []int64 { return slices.Clone(m.sums) }

// LeftOut returns the sum of each sample type over the stacks that are only counted by the marker.
func (m *Merger) LeftOut() []int64 { return slices.Clone(m.leftOut) }

// settle enters the marker for what was left out, room or not.
func (m *Merger) settle() {
	if !slices.ContainsFunc(m.leftOut, func(v int64) bool { return v != 0 }) {
		return
	}
	limit := m.limit
	m.limit = math.MaxInt64
	name, _ := m.text([]byte(LeftOut))
	fn, _ := m.addFunction(function{name: name, systemName: name})
	loc, _ := m.addLocation(location{}, []line{{function: fn}})
	m.count([]uint32{loc}, 0, m.leftOut)
	m.limit = limit
	clear(m.leftOut)
}

func addSaturated(a, b int64) int64 {
	switch {
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < math.MinInt64-b:
		return math.MinInt64
	}
	return a + b
}

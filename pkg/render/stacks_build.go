package render

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"strconv"

	"github.com/google/pprof/profile"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

// A stacksBuilder turns a profile into the tables of a stacks document.
type stacksBuilder struct {
	p     *profile.Profile
	value int

	frames    []stacksFrame
	frameOf   map[stacksFrame]int32
	locations map[*profile.Location][]int32 // outermost first

	nodes  []stacksNode // 0 is the root
	nodeOf map[stacksEdge]int32

	threads   []stacksThread
	threadOf  map[stacksThread]int32
	labels    []stacksLabel
	labelOf   map[stacksLabel]int32
	labelSets [][]int32
	setOf     map[string]int32

	samples  []stacksSample
	sampleOf []int32 // by the number of the profile's sample

	strings  []string
	stringOf map[string]int32

	foldedNodes int
	foldedValue int64 // of the default type
}

type (
	stacksFrame struct {
		name, module, file string
		line               int32
		kind               int8
		inlined            bool
	}
	stacksNode   struct{ parent, frame int32 }
	stacksEdge   struct{ parent, frame int32 }
	stacksThread struct {
		service, comm, container string
		pid, tid                 int64
	}
	stacksLabel struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	}
	stacksSample struct {
		node, thread, labels int32
		reason               string
		values               []int64
	}
	stacksKey struct {
		node, thread, labels int32
		reason               string
	}
)

func newStacksBuilder(p *profile.Profile, value int) *stacksBuilder {
	return &stacksBuilder{
		p: p, value: value,
		frameOf: map[stacksFrame]int32{}, locations: map[*profile.Location][]int32{},
		nodes: []stacksNode{{-1, -1}}, nodeOf: map[stacksEdge]int32{},
		threadOf: map[stacksThread]int32{},
		labels:   []stacksLabel{}, labelOf: map[stacksLabel]int32{}, labelSets: [][]int32{}, setOf: map[string]int32{},
		strings: []string{""}, stringOf: map[string]int32{"": 0},
	}
}

// intern returns the number of v, the next one at first sight.
func intern[T comparable](list *[]T, index map[T]int32, v T) int32 {
	i, ok := index[v]
	if !ok {
		i = int32(len(*list))
		index[v] = i
		*list = append(*list, v)
	}
	return i
}

func (b *stacksBuilder) string(s string) int32 { return intern(&b.strings, b.stringOf, stacksText(s)) }

// enter reads the profile's samples. Those without any value are left out.
func (b *stacksBuilder) enter() {
	index := make(map[stacksKey]int32, len(b.p.Sample))
	b.sampleOf = make([]int32, len(b.p.Sample))
	for i, s := range b.p.Sample {
		b.sampleOf[i] = -1
		if !slices.ContainsFunc(s.Value, func(v int64) bool { return v != 0 }) {
			continue
		}
		key := stacksKey{b.stack(s), b.thread(s), b.labelSet(s), first(s.Label[prof.LabelStack])}
		at, ok := index[key]
		if !ok {
			at = int32(len(b.samples))
			index[key] = at
			b.samples = append(b.samples, stacksSample{key.node, key.thread, key.labels, key.reason, slices.Clone(s.Value)})
		} else {
			addAll(b.samples[at].values, s.Value)
		}
		b.sampleOf[i] = at
	}
}

func addAll(sum, values []int64) {
	for i, v := range values {
		sum[i] = saturated(sum[i], v)
	}
}

// saturated adds without wrapping around: values of a file are what somebody wrote there.
func saturated(a, b int64) int64 {
	sum := a + b
	switch {
	case a > 0 && b > 0 && sum < 0:
		return math.MaxInt64
	case a < 0 && b < 0 && sum >= 0:
		return math.MinInt64
	}
	return sum
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// stack returns the node of a sample's leaf.
func (b *stacksBuilder) stack(s *profile.Sample) int32 {
	node := int32(0)
	for i := len(s.Location) - 1; i >= 0; i-- {
		for _, frame := range b.location(s.Location[i]) {
			node = b.child(node, frame)
		}
	}
	return node
}

func (b *stacksBuilder) child(parent, frame int32) int32 {
	edge := stacksEdge{parent, frame}
	i, ok := b.nodeOf[edge]
	if !ok {
		i = int32(len(b.nodes))
		b.nodeOf[edge] = i
		b.nodes = append(b.nodes, stacksNode{parent, frame})
	}
	return i
}

func (b *stacksBuilder) location(l *profile.Location) []int32 {
	if frames, ok := b.locations[l]; ok {
		return frames
	}
	var frames []int32
	for i := max(len(l.Line), 1) - 1; i >= 0; i-- {
		f := stacksFrame{
			name: prof.Name(l, i), module: prof.Module(l), kind: int8(prof.KindOf(l, i)), inlined: i < len(l.Line)-1,
		}
		if i < len(l.Line) {
			if fn := l.Line[i].Function; fn != nil {
				f.file = fn.Filename
			}
			f.line = int32(min(max(l.Line[i].Line, 0), math.MaxInt32))
		}
		frames = append(frames, intern(&b.frames, b.frameOf, f))
	}
	b.locations[l] = frames
	return frames
}

func (b *stacksBuilder) thread(s *profile.Sample) int32 {
	return intern(&b.threads, b.threadOf, stacksThread{
		service: first(s.Label[prof.LabelService]), comm: prof.Comm(s), container: first(s.Label[prof.LabelContainer]),
		pid: number(s, prof.LabelPID), tid: number(s, prof.LabelTID),
	})
}

// labelSet returns the number of the set of labels that the tables do not have elsewhere; -1 without any.
func (b *stacksBuilder) labelSet(s *profile.Sample) int32 {
	var labels []stacksLabel
	for key, values := range s.Label {
		switch key {
		case prof.LabelComm, prof.LabelService, prof.LabelContainer, prof.LabelStack:
			continue
		}
		for _, v := range values {
			labels = append(labels, stacksLabel{stacksText(key), stacksText(v)})
		}
	}
	for key, values := range s.NumLabel {
		if key == prof.LabelPID || key == prof.LabelTID {
			continue
		}
		units := s.NumUnit[key]
		for i, v := range values {
			text := strconv.FormatInt(v, 10)
			if i < len(units) && units[i] != "" {
				text += " " + units[i]
			}
			labels = append(labels, stacksLabel{stacksText(key), stacksText(text)})
		}
	}
	if len(labels) == 0 {
		return -1
	}
	slices.SortFunc(labels, func(x, y stacksLabel) int { return cmp.Or(cmp.Compare(x.Key, y.Key), cmp.Compare(x.Value, y.Value)) })
	labels = slices.Compact(labels)
	set, key := make([]int32, len(labels)), []byte{}
	for i, l := range labels {
		set[i] = intern(&b.labels, b.labelOf, l)
		key = binary.AppendUvarint(key, uint64(set[i]))
	}
	at, ok := b.setOf[string(key)]
	if !ok {
		at = int32(len(b.labelSets))
		b.setOf[string(key)] = at
		b.labelSets = append(b.labelSets, set)
	}
	return at
}

// usedFrames returns the columns of the nodes, and of the frames that they have.
func (b *stacksBuilder) usedFrames() (f struct{ name, module, file, line, kind, inlined []int32 }, n struct{ parent, frame []int32 }) {
	renumbered := make([]int32, len(b.frames))
	for i := range renumbered {
		renumbered[i] = -1
	}
	for _, node := range b.nodes {
		frame := int32(-1)
		if node.frame >= 0 {
			if frame = renumbered[node.frame]; frame < 0 {
				frame = int32(len(f.name))
				renumbered[node.frame] = frame
				x := b.frames[node.frame]
				f.name, f.module, f.file = append(f.name, b.string(x.name)), append(f.module, b.string(x.module)), append(f.file, b.string(x.file))
				inlined := int32(0)
				if x.inlined {
					inlined = 1
				}
				f.line, f.kind, f.inlined = append(f.line, x.line), append(f.kind, int32(x.kind)), append(f.inlined, inlined)
			}
		}
		n.parent, n.frame = append(n.parent, node.parent), append(n.frame, frame)
	}
	return f, n
}

func (b *stacksBuilder) stringsOfThreads() []column32 {
	columns := []column32{{name: "service"}, {name: "comm"}, {name: "container"}, {name: "pid"}, {name: "tid"}}
	id := func(n int64) int32 { return int32(min(max(n, 0), math.MaxInt32)) }
	for _, t := range b.threads {
		for i, v := range []int32{b.string(t.service), b.string(t.comm), b.string(t.container), id(t.pid), id(t.tid)} {
			columns[i].values = append(columns[i].values, v)
		}
	}
	return columns
}

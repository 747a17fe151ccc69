package server

import (
	"math"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// A flame is the answer of format=json: a call tree in columns, ready to be drawn. Docs: docs/api.md.
type flame struct {
	Kind       string      `json:"kind"`
	Service    string      `json:"service,omitempty"`
	Type       string      `json:"type"` // sample type of the values
	Unit       string      `json:"unit"`
	From       time.Time   `json:"from"`
	To         time.Time   `json:"to"`
	Covered    coverage    `json:"covered"`
	Samples    int64       `json:"samples"`
	Incomplete int64       `json:"incomplete"` // samples whose stack is not complete
	Total      int64       `json:"total"`
	Base       *flameBase  `json:"base,omitempty"` // of a difference
	Names      []string    `json:"names"`
	Frames     flameFrames `json:"frames"`
	Nodes      flameNodes  `json:"nodes"`
	Folded     flameFolded `json:"folded"`
}

// A flameBase is the other side of a difference. Scale is what its values were multiplied with.
type flameBase struct {
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Covered coverage  `json:"covered"`
	Samples int64     `json:"samples"`
	Total   int64     `json:"total"` // not scaled
	Scale   float64   `json:"scale"`
}

type coverage struct {
	From    time.Time `json:"from,omitzero"`
	To      time.Time `json:"to,omitzero"`
	Seconds float64   `json:"seconds"`
	Windows int       `json:"windows"`
	Lost    uint64    `json:"lost"`
	Skipped int       `json:"skipped"`
}

func coverageOf(c Coverage) coverage {
	return coverage{c.From, c.To, c.Covered.Seconds(), c.Windows, c.Lost, c.Skipped}
}

// flameFrames are functions: name and module are indexes into the names, kind says what code it is.
type flameFrames struct {
	Name   []int32  `json:"name"`
	Module []int32  `json:"module"`
	Kind   []string `json:"kind"`
}

// flameNodes are in preorder, the root first, siblings by weight. Frame of the root is -1, as is its parent.
type flameNodes struct {
	Frame     []int32   `json:"frame"`
	Parent    []int32   `json:"parent"`
	Self      []int64   `json:"self"`
	Total     []int64   `json:"total"`
	BaseSelf  []float64 `json:"base_self,omitempty"` // scaled
	BaseTotal []float64 `json:"base_total,omitempty"`
}

// flameFolded tells what is not in the tree but in nodes called (other). Nodes has [node, how many it stands for].
type flameFolded struct {
	Count int      `json:"count"`
	Value int64    `json:"value"`
	Nodes [][2]int `json:"nodes"`
}

const otherName = "(other)"

// newFlame returns the tree of value in p with at most limit nodes besides the root and those called (other).
func newFlame(q Query, p *pprof.Profile, c Coverage, value, limit int) *flame {
	f := flameHead(q, p, c, value)
	f.fill(newUnion(profile.NewTree(p, profile.TreeOptions{Value: value, Comm: true})), limit)
	return f
}

func flameHead(q Query, p *pprof.Profile, c Coverage, value int) *flame {
	sum := profile.Summarize(p, value)
	return &flame{
		Kind: q.Kind, Service: q.Service, Type: sum.Type.Type, Unit: sum.Type.Unit, From: q.From, To: q.To,
		Covered: coverageOf(c), Samples: sum.Samples, Incomplete: sum.Incomplete, Total: sum.Total,
		Names:  []string{},
		Frames: flameFrames{Name: []int32{}, Module: []int32{}, Kind: []string{}},
		Folded: flameFolded{Nodes: [][2]int{}},
	}
}

// fill enters the heaviest nodes of u, without recursion as stacks can be deep.
func (f *flame) fill(u *union, limit int) {
	scale := 0.0
	if f.Base != nil {
		scale = f.Base.Scale
	}
	weights := u.weigh(scale)
	w := flameWriter{
		f: f, u: u, scale: scale, weights: weights, kept: u.keep(weights, limit), sizes: u.sizes(),
		frames: make(map[int32]int32), names: make(map[string]int32), other: -1,
	}
	type visit struct{ id, parent int32 }
	for stack := []visit{{0, -1}}; len(stack) > 0; {
		v := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		at := w.node(v.id, v.parent)
		var rest []int32
		kept := len(stack)
		for _, c := range u.children(v.id, weights) {
			if w.kept[c] {
				stack = append(stack, visit{c, at})
			} else {
				rest = append(rest, c)
			}
		}
		reverse(stack[kept:]) // the heaviest is taken first
		if len(rest) > 0 {
			w.fold(rest, at)
		}
	}
}

func reverse[T any](s []T) {
	for i, j := 0, len(s)-1; i < j; i, j = i+1, j-1 {
		s[i], s[j] = s[j], s[i]
	}
}

type flameWriter struct {
	f       *flame
	u       *union
	scale   float64
	weights []float64
	kept    []bool
	sizes   []int
	frames  map[int32]int32 // union's function -> flame's frame
	names   map[string]int32
	other   int32 // frame of (other), or -1
}

func (w *flameWriter) name(s string) int32 {
	s = cut(s, maxName)
	i, ok := w.names[s]
	if !ok {
		i = int32(len(w.f.Names))
		w.names[s] = i
		w.f.Names = append(w.f.Names, s)
	}
	return i
}

func (w *flameWriter) frame(name, module, kind string) int32 {
	fr := &w.f.Frames
	fr.Name, fr.Module, fr.Kind = append(fr.Name, w.name(name)), append(fr.Module, w.name(module)), append(fr.Kind, kind)
	return int32(len(fr.Name) - 1)
}

func (w *flameWriter) node(id, parent int32) int32 {
	n := w.u.nodes[id]
	fr := int32(-1)
	if id > 0 {
		var ok bool
		if fr, ok = w.frames[n.fn]; !ok {
			fn := w.u.funcs[n.fn]
			fr = w.frame(fn.Name, fn.Module, fn.Kind.String())
			w.frames[n.fn] = fr
		}
	}
	return w.add(fr, parent, n.self, n.total)
}

// fold puts one node in the place of small ones and all below them.
func (w *flameWriter) fold(ids []int32, parent int32) {
	var total [2]int64
	count := 0
	for _, id := range ids {
		total[0] += w.u.nodes[id].total[0]
		total[1] += w.u.nodes[id].total[1]
		count += w.sizes[id]
	}
	if w.other < 0 {
		w.other = w.frame(otherName, "", "other")
	}
	at := w.add(w.other, parent, total, total)
	w.f.Folded.Count += count
	w.f.Folded.Value += total[0]
	w.f.Folded.Nodes = append(w.f.Folded.Nodes, [2]int{int(at), count})
}

func (w *flameWriter) add(frame, parent int32, self, total [2]int64) int32 {
	n := &w.f.Nodes
	n.Frame, n.Parent = append(n.Frame, frame), append(n.Parent, parent)
	n.Self, n.Total = append(n.Self, self[0]), append(n.Total, total[0])
	if w.f.Base != nil {
		n.BaseSelf, n.BaseTotal = append(n.BaseSelf, scaled(self[1], w.scale)), append(n.BaseTotal, scaled(total[1], w.scale))
	}
	return int32(len(n.Frame) - 1)
}

// scaled keeps three decimals: counts can be small.
func scaled(v int64, scale float64) float64 { return math.Round(float64(v)*scale*1000) / 1000 }

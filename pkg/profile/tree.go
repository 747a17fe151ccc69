package profile

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

// A Func is a function as tables and graphs tell functions apart.
type Func struct {
	Name   string
	Module string // base name of the object file, or a name in brackets, or ""
	Kind   Kind
}

// A Node is a function called along one path. Children of a node are linked
// through FirstChild and NextSibling; 0 ends a list, as the root is no one's
// child. Total includes Self.
type Node struct {
	Func                            int32 // index into Tree.Funcs
	Parent, FirstChild, NextSibling int32
	Self, Total                     int64
}

// A Tree is a profile's call tree for one of its values. Nodes[0] is the root,
// which stands for everything and belongs to no function. A parent always comes
// before its children in Nodes.
type Tree struct {
	Funcs []Func
	Nodes []Node
}

// TreeOptions select what a tree shows.
type TreeOptions struct {
	Value  int  // index into the profile's sample types
	Comm   bool // put each sample's thread name at the root of its stack
	ByName bool // order children by name; otherwise the heaviest comes first
}

// NewTree builds the call tree of p. Samples whose value is zero add nothing.
func NewTree(p *profile.Profile, o TreeOptions) *Tree {
	t := &Tree{Nodes: make([]Node, 1, len(p.Sample)+1)}
	in := newInterner(&t.Funcs)
	type edge struct{ parent, fn int32 }
	children := make(map[edge]int32, len(p.Sample))
	for _, s := range p.Sample {
		v := s.Value[o.Value]
		if v == 0 {
			continue
		}
		node := int32(0)
		t.Nodes[0].Total = addSaturated(t.Nodes[0].Total, v)
		enter := func(fn int32) {
			child, ok := children[edge{node, fn}]
			if !ok {
				child = int32(len(t.Nodes))
				children[edge{node, fn}] = child
				t.Nodes = append(t.Nodes, Node{Func: fn, Parent: node, NextSibling: t.Nodes[node].FirstChild})
				t.Nodes[node].FirstChild = child
			}
			node = child
			t.Nodes[node].Total = addSaturated(t.Nodes[node].Total, v)
		}
		if comm := Comm(s); o.Comm && comm != "" {
			enter(in.add(Func{Name: comm, Kind: KindProcess}))
		}
		for i := len(s.Location) - 1; i >= 0; i-- {
			fns := in.location(s.Location[i])
			for j := len(fns) - 1; j >= 0; j-- {
				enter(fns[j])
			}
		}
		t.Nodes[node].Self = addSaturated(t.Nodes[node].Self, v)
	}
	t.order(o.ByName)
	return t
}

// Comm returns the thread name that s is labelled with, or "".
func Comm(s *profile.Sample) string {
	if v := s.Label[LabelComm]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// SortByName orders the children of every node by name, which puts them in the same place in every tree.
func (t *Tree) SortByName() { t.order(true) }

// order sorts the children of every node.
func (t *Tree) order(byName bool) {
	var children []int32
	for i := range t.Nodes {
		children = children[:0]
		for c := t.Nodes[i].FirstChild; c != 0; c = t.Nodes[c].NextSibling {
			children = append(children, c)
		}
		if len(children) < 2 {
			continue
		}
		slices.SortFunc(children, func(a, b int32) int {
			if x, y := t.Nodes[a].Total, t.Nodes[b].Total; !byName && x != y {
				return cmp.Compare(y, x)
			}
			x, y := t.Funcs[t.Nodes[a].Func], t.Funcs[t.Nodes[b].Func]
			return cmp.Or(strings.Compare(x.Name, y.Name), strings.Compare(x.Module, y.Module), cmp.Compare(x.Kind, y.Kind))
		})
		link := &t.Nodes[i].FirstChild
		for _, c := range children {
			*link = c
			link = &t.Nodes[c].NextSibling
		}
		*link = 0
	}
}

// An interner numbers functions and remembers those of each location.
type interner struct {
	funcs     *[]Func
	index     map[Func]int32
	locations map[*profile.Location][]int32
}

func newInterner(funcs *[]Func) *interner {
	return &interner{funcs: funcs, index: make(map[Func]int32), locations: make(map[*profile.Location][]int32)}
}

func (in *interner) add(f Func) int32 {
	i, ok := in.index[f]
	if !ok {
		i = int32(len(*in.funcs))
		*in.funcs = append(*in.funcs, f)
		in.index[f] = i
	}
	return i
}

// location returns the functions of l, innermost first.
func (in *interner) location(l *profile.Location) []int32 {
	if fns, ok := in.locations[l]; ok {
		return fns
	}
	fns := make([]int32, max(len(l.Line), 1))
	for i := range fns {
		fns[i] = in.add(Func{Name: Name(l, i), Module: Module(l), Kind: KindOf(l, i)})
	}
	in.locations[l] = fns
	return fns
}

// addSaturated keeps sums of hostile values from wrapping around.
func addSaturated(a, b int64) int64 {
	sum := a + b
	switch {
	case a > 0 && b > 0 && sum < 0:
		return math.MaxInt64
	case a < 0 && b < 0 && sum >= 0:
		return math.MinInt64
	}
	return sum
}

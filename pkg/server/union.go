package server

import (
	"cmp"
	"slices"
	"strings"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// A union is the call tree of one profile, or of two with the values of both at every node. Node 0 is the root; a parent
// comes before its children.
type union struct {
	funcs []profile.Func
	nodes []unionNode
}

type unionNode struct {
	fn, parent  int32
	first, next int32 // child, sibling; 0: none
	self, total [2]int64
}

// newUnion merges trees, at most two.
func newUnion(trees ...*profile.Tree) *union {
	u := &union{nodes: make([]unionNode, 1)}
	u.nodes[0].fn = -1
	index := make(map[profile.Func]int32)
	type edge struct{ parent, fn int32 }
	children := make(map[edge]int32)
	for side, t := range trees {
		fns := make([]int32, len(t.Funcs))
		for i, f := range t.Funcs {
			fn, ok := index[f]
			if !ok {
				fn = int32(len(u.funcs))
				index[f] = fn
				u.funcs = append(u.funcs, f)
			}
			fns[i] = fn
		}
		ids := make([]int32, len(t.Nodes)) // of this tree's nodes
		for i, n := range t.Nodes {
			id := int32(0)
			if i > 0 {
				key := edge{ids[n.Parent], fns[n.Func]}
				var ok bool
				if id, ok = children[key]; !ok {
					id = int32(len(u.nodes))
					children[key] = id
					u.nodes = append(u.nodes, unionNode{fn: key.fn, parent: key.parent, next: u.nodes[key.parent].first})
					u.nodes[key.parent].first = id
				}
			}
			ids[i] = id
			u.nodes[id].self[side], u.nodes[id].total[side] = n.Self, n.Total
		}
	}
	return u
}

// weigh returns what each node is worth: the greater of its totals, the second scaled.
func (u *union) weigh(scale float64) []float64 {
	weights := make([]float64, len(u.nodes))
	for i, n := range u.nodes {
		weights[i] = max(float64(n.total[0]), float64(n.total[1])*scale)
	}
	return weights
}

// keep chooses the n heaviest nodes besides the root. A parent weighs no less than its child and comes first.
func (u *union) keep(weights []float64, n int) []bool {
	order := make([]int32, len(u.nodes)-1)
	for i := range order {
		order[i] = int32(i + 1)
	}
	if len(order) > n {
		slices.SortFunc(order, func(a, b int32) int { return cmp.Or(cmp.Compare(weights[b], weights[a]), cmp.Compare(a, b)) })
	}
	kept := make([]bool, len(u.nodes))
	kept[0] = true
	for _, i := range order[:min(n, len(order))] {
		kept[i] = kept[u.nodes[i].parent]
	}
	return kept
}

// children returns the children of a node, the heaviest first.
func (u *union) children(of int32, weights []float64) []int32 {
	var list []int32
	for c := u.nodes[of].first; c != 0; c = u.nodes[c].next {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b int32) int {
		x, y := u.funcs[u.nodes[a].fn], u.funcs[u.nodes[b].fn]
		return cmp.Or(cmp.Compare(weights[b], weights[a]), strings.Compare(x.Name, y.Name), strings.Compare(x.Module, y.Module), cmp.Compare(x.Kind, y.Kind))
	})
	return list
}

// sizes returns how many nodes each node is, itself included.
func (u *union) sizes() []int {
	sizes := make([]int, len(u.nodes))
	for i := len(u.nodes) - 1; i > 0; i-- {
		sizes[i]++
		sizes[u.nodes[i].parent] += sizes[i]
	}
	return sizes
}

package render

import (
	"cmp"
	"fmt"
	"slices"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

const (
	svgWidth = 1200.0 // of the drawing without a script; with one it fills the window
	minWidth = 0.1    // pixels; a narrower frame is not in the file
	maxDepth = 1024   // rows
	// svgBudget bounds what the script's data take, in bytes: the widest frames
	// come first.
	svgBudget = 1_500_000
	// staticFrames bounds the drawing without a script likewise.
	staticFrames = 2500
	staticWidth  = 0.5
)

// A frame is a node of the call tree as laid out: its kept descendants follow it.
type frame struct {
	fn          int32 // index into layout.funcs
	node        int32 // of the call tree; -1 for a frame that stands for small ones
	depth       int32
	descendants int32 // number of frames that follow and lie below this one
	start       int64 // sum of what is to the left
	self, total int64
	static      bool // drawn without a script
}

// A layout is the part of a call tree that is worth a place in the file, in
// preorder, the root first. Where small siblings were left out, one frame stands
// for all of them.
type layout struct {
	funcs  []prof.Func
	kinds  []int // of funcs: a prof.Kind or kindElided
	frames []frame
	depth  int   // rows, the root included
	elided int64 // frames that are not in the file
}

func newLayout(t *prof.Tree) *layout {
	order := heaviest(t)
	b := layoutBuilder{
		l: &layout{}, t: t, keep: keepFrames(t, order),
		below: subtreeSizes(t), funcs: make(map[int32]int32), elided: make(map[int64]int32),
		minTotal: max(1, int64(float64(t.Nodes[0].Total)*minWidth/svgWidth)),
	}
	b.static = staticTotal(t, order)
	b.l.funcs, b.l.kinds = append(b.l.funcs, prof.Func{Name: "all"}), append(b.l.kinds, int(prof.KindProcess))
	b.walk()
	return b.l
}

// present returns which kinds of frames there are, kindElided included.
func (l *layout) present() (kinds [prof.NumKinds + 1]bool) {
	for _, k := range l.kinds {
		kinds[k] = true
	}
	return kinds
}

// heaviest returns the nodes by falling total. A parent comes before its children,
// as it weighs no less and stands earlier in the tree.
func heaviest(t *prof.Tree) []int32 {
	order := make([]int32, len(t.Nodes))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(t.Nodes[b].Total, t.Nodes[a].Total), cmp.Compare(a, b))
	})
	return order
}

// staticTotal returns the least total of a frame that is drawn without a script.
func staticTotal(t *prof.Tree, order []int32) int64 {
	least := int64(float64(t.Nodes[0].Total) * staticWidth / svgWidth)
	if len(order) > staticFrames {
		least = max(least, t.Nodes[order[staticFrames]].Total+1)
	}
	return max(1, least)
}

// keepFrames chooses nodes by weight until the budget is spent.
func keepFrames(t *prof.Tree, order []int32) []bool {
	keep, depth := make([]bool, len(t.Nodes)), make([]int32, len(t.Nodes))
	named := make([]bool, len(t.Funcs))
	least := max(1, int64(float64(t.Nodes[0].Total)*minWidth/svgWidth))
	keep[0] = true
	spent := 0
	for i := range t.Nodes[1:] {
		depth[i+1] = depth[t.Nodes[i+1].Parent] + 1
	}
	for _, i := range order {
		n := &t.Nodes[i]
		if i == 0 || !keep[n.Parent] || depth[i] >= maxDepth {
			continue
		}
		if n.Total < least || spent > svgBudget {
			break
		}
		spent += 20
		if !named[n.Func] {
			named[n.Func] = true
			spent += min(len(t.Funcs[n.Func].Name), maxName) + 20
		}
		keep[i] = true
	}
	return keep
}

// subtreeSizes returns how many nodes each node is, itself included.
func subtreeSizes(t *prof.Tree) []int32 {
	sizes := make([]int32, len(t.Nodes))
	for i := len(t.Nodes) - 1; i > 0; i-- {
		sizes[i]++
		sizes[t.Nodes[i].Parent] += sizes[i]
	}
	return sizes
}

type layoutBuilder struct {
	l        *layout
	t        *prof.Tree
	keep     []bool
	below    []int32
	funcs    map[int32]int32 // tree's function -> layout's
	elided   map[int64]int32 // number of frames left out -> function that says so
	minTotal int64
	static   int64
}

// walk lays out the kept nodes without recursion, as stacks can be deep.
func (b *layoutBuilder) walk() {
	type visit struct {
		at         int32 // index of the frame whose children these are
		child      int32 // next child to lay out
		next       int64 // where it starts
		small      int64 // left out so far: frames, and their total
		smallTotal int64
	}
	root := &b.t.Nodes[0]
	b.l.frames = append(b.l.frames, frame{self: root.Self, total: root.Total, static: true})
	b.l.depth = 1
	stack := []visit{{child: root.FirstChild}}
	for len(stack) > 0 {
		v := &stack[len(stack)-1]
		if v.child == 0 {
			if v.small > 0 {
				b.leaveOut(v.small, v.smallTotal, v.next, int32(len(stack)))
			}
			b.l.frames[v.at].descendants = int32(len(b.l.frames)) - v.at - 1
			stack = stack[:len(stack)-1]
			continue
		}
		c := v.child
		n := &b.t.Nodes[c]
		v.child = n.NextSibling
		if !b.keep[c] {
			v.small += int64(b.below[c])
			v.smallTotal += max(n.Total, 0)
			continue
		}
		at := int32(len(b.l.frames))
		b.l.frames = append(b.l.frames, frame{
			fn: b.fn(n.Func), node: c, depth: int32(len(stack)), start: v.next, self: n.Self, total: n.Total,
			static: n.Total >= b.static,
		})
		b.l.depth = max(b.l.depth, len(stack)+1)
		start := v.next
		v.next += n.Total
		stack = append(stack, visit{at: at, child: n.FirstChild, next: start})
	}
}

// leaveOut puts one frame in the place of n small ones, if together they are wide
// enough to be seen.
func (b *layoutBuilder) leaveOut(n, total, start int64, depth int32) {
	b.l.elided += n
	if total < b.minTotal {
		return
	}
	fn, ok := b.elided[n]
	if !ok {
		name := fmt.Sprintf("(%s smaller frames)", grouped(n))
		if n == 1 {
			name = "(1 smaller frame)"
		}
		fn = int32(len(b.l.funcs))
		b.elided[n] = fn
		b.l.funcs, b.l.kinds = append(b.l.funcs, prof.Func{Name: name}), append(b.l.kinds, kindElided)
	}
	b.l.frames = append(b.l.frames, frame{fn: fn, node: -1, depth: depth, start: start, total: total, static: total >= b.static})
	b.l.depth = max(b.l.depth, int(depth)+1)
}

func (b *layoutBuilder) fn(i int32) int32 {
	fn, ok := b.funcs[i]
	if !ok {
		f := b.t.Funcs[i]
		fn = int32(len(b.l.funcs))
		b.funcs[i] = fn
		b.l.funcs = append(b.l.funcs, prof.Func{Name: clean(f.Name), Module: clean(f.Module), Kind: f.Kind})
		b.l.kinds = append(b.l.kinds, int(f.Kind))
	}
	return fn
}

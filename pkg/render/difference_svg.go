package render

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"math"
	"strings"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

// changeLevels is how many colours a difference has: from gone, in blue, over equal to new, in red.
const changeLevels = 9

// A changed tells what a node had before, scaled, and has now.
type changed struct{ before, now, beforeSelf, nowSelf int64 }

// level returns the colour of c.
func (c changed) level() int {
	most := max(abs(c.before), abs(c.now))
	if most == 0 {
		return changeLevels / 2
	}
	return changeLevels/2 + int(math.Round((float64(c.now)-float64(c.before))/most*(changeLevels/2)))
}

// tree returns the call tree of both profiles together, and what its nodes had and have. A node is as wide as the greater
// of the two, stack by stack, so that what is gone has its place and children lie within their parents.
func (d *Difference) tree() (*prof.Tree, []changed) {
	nows, befores := prof.NewTree(d.Now, prof.TreeOptions{Value: d.index, Comm: true}),
		prof.NewTree(d.Before, prof.TreeOptions{Value: d.beforeIndex, Comm: true})
	t := &prof.Tree{Nodes: make([]prof.Node, 1)}
	sides := make([]changed, 1)
	funcs := map[prof.Func]int32{}
	type edge struct{ parent, fn int32 }
	children := map[edge]int32{}
	enter := func(from *prof.Tree, add func(c *changed, n prof.Node)) {
		ids := make([]int32, len(from.Nodes))
		for i, n := range from.Nodes {
			if i > 0 {
				e := edge{ids[n.Parent], intern(&t.Funcs, funcs, from.Funcs[n.Func])}
				at, ok := children[e]
				if !ok {
					at = int32(len(t.Nodes))
					children[e] = at
					t.Nodes = append(t.Nodes, prof.Node{Func: e.fn, Parent: e.parent, NextSibling: t.Nodes[e.parent].FirstChild})
					t.Nodes[e.parent].FirstChild = at
					sides = append(sides, changed{})
				}
				ids[i] = at
			}
			add(&sides[ids[i]], n)
		}
	}
	enter(nows, func(c *changed, n prof.Node) { c.now, c.nowSelf = n.Total, n.Self })
	enter(befores, func(c *changed, n prof.Node) { c.before, c.beforeSelf = d.scaled(n.Total), d.scaled(n.Self) })
	for i := len(t.Nodes) - 1; i >= 0; i-- {
		n := &t.Nodes[i]
		n.Self = max(sides[i].nowSelf, sides[i].beforeSelf, 0)
		n.Total += n.Self
		if i > 0 {
			t.Nodes[n.Parent].Total += n.Total
		}
	}
	t.SortByName()
	return t, sides
}

// writeSVG writes a flame graph of both profiles: red became more, blue less, what is gone is there with a dashed edge.
func (d *Difference) writeSVG(w io.Writer, o Options) error {
	tree, sides := d.tree()
	doc := svgDoc{w: bufio.NewWriter(w), sum: prof.Summarize(d.Now, d.index), l: newLayout(tree), changes: sides}
	before, now := d.Sums(nil, false)
	doc.title = cmp.Or(clean(o.Title), valueTitle(d.type_)+", what changed")
	doc.about = Change(before, now, d.type_.Unit)
	doc.facts = []string{
		"before: " + strings.Join(facts(prof.Summarize(d.Before, d.beforeIndex)), ", "),
		"now: " + strings.Join(facts(doc.sum), ", "),
		"a frame is as wide as the greater of before and now, stack by stack",
	}
	if d.Scale != 1 {
		doc.facts = append(doc.facts, fmt.Sprintf("values before are multiplied with %.6g", d.Scale))
	}
	if doc.l.elided > 0 {
		doc.facts = append(doc.facts, fmt.Sprintf("%s frames narrower than %g px of %g px are shown as “smaller frames”",
			grouped(doc.l.elided), minWidth, svgWidth))
	}
	return doc.write()
}

// changeOf returns what f had and has; false for a frame that stands for others, and in a drawing of one profile.
func (d *svgDoc) changeOf(f frame) (changed, bool) {
	if d.changes == nil || f.node < 0 {
		return changed{}, false
	}
	return d.changes[f.node], true
}

// changeCSS returns one rule for each colour of a difference. The sign is in the text of each frame, too.
func changeCSS(lightness float64, away float64) string {
	var b strings.Builder
	for level := range changeLevels {
		x := float64(level-changeLevels/2) / (changeLevels / 2)
		hue, chroma := 27.0, 0.15*x
		if x < 0 {
			hue, chroma = 255, -0.13*x
		}
		fmt.Fprintf(&b, ".fg .d%d{fill:%s}", level, oklch(lightness+away*math.Abs(x), chroma, hue))
	}
	return b.String() + "\n"
}

// writeChangeLegend says what the colours mean, with what became more and less in self value.
func (d *svgDoc) writeChangeLegend() {
	var more, less int64
	for _, c := range d.changes {
		if x := c.nowSelf - c.beforeSelf; x > 0 {
			more = saturated(more, x)
		} else {
			less = saturated(less, x)
		}
	}
	unit := d.sum.Type.Unit
	x := svgMargin
	for _, chip := range []struct{ class, text string }{
		{fmt.Sprintf("d%d", changeLevels-1), "more: " + signed(more, quantity(more, unit))}, {"d4", "equal"},
		{"d1", "less: " + quantity(less, unit) + ", that which is gone included"}, {"d0 gone", "gone"},
	} {
		fmt.Fprintf(d.w, `<g class="chip"><rect class="%s" x="%.0f" y="58" width="11" height="11" rx="3"/><text x="%.0f" y="68">%s</text></g>`,
			chip.class, x, x+16, escape(chip.text))
		x += 16 + float64(len(chip.text))*legendChar + 12
	}
}

// changeTooltip is what a frame of a difference says.
func (d *svgDoc) changeTooltip(c changed) string {
	unit := d.sum.Type.Unit
	return "\ntotal " + Change(c.before, c.now, unit) + "\nself " + Change(c.beforeSelf, c.nowSelf, unit)
}

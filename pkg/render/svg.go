package render

import (
	"bufio"
	"cmp"
	_ "embed" // for the style and the script
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/pprof/profile"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

var (
	//go:embed flamegraph.css
	svgStyle string
	//go:embed flamegraph.js
	svgScript string
)

// Sizes in pixels that the drawing and its script share.
const (
	svgHeader  = 98.0 // above the first row
	svgRow     = 18.0
	svgFooter  = 46.0
	svgMargin  = 12.0
	svgChar    = 7.23 // width of a character of the 12 px font
	svgPadding = 4.0  // around a label in its frame
	legendChar = 6.65 // width of a character of the 11 px font
)

// writeSVG writes a flame graph (an icicle graph, root on top) as one file that
// needs nothing else. Without a script it is a static drawing of the widest
// frames with tooltips; with one it fills the window and takes zoom, search and
// keys. It holds frames of at least 0.1 of 1200 pixels, up to a size; one frame
// stands for the smaller ones next to it. Children are ordered by weight.
//
// Several such files can be inlined in one HTML page: rules are scoped by class.
func writeSVG(w io.Writer, p *profile.Profile, o Options) error {
	value := valueIndex(p, o)
	d := svgDoc{
		w:   bufio.NewWriter(w),
		sum: prof.Summarize(p, value),
		l:   newLayout(prof.NewTree(p, prof.TreeOptions{Value: value, Comm: true})),
	}
	d.title = clean(o.Title)
	if d.title == "" {
		d.title = valueTitle(d.sum.Type)
	}
	d.facts = facts(d.sum)
	if d.l.elided > 0 {
		d.facts = append(d.facts, fmt.Sprintf("%s frames narrower than %g px of %g px are shown as “smaller frames”",
			grouped(d.l.elided), minWidth, svgWidth))
	}
	return d.write()
}

type svgDoc struct {
	w     *bufio.Writer
	sum   prof.Summary
	l     *layout
	title string
	facts []string
	// Of a difference: what the nodes of the tree had and have, and a line for the head.
	changes []changed
	about   string
}

func (d *svgDoc) write() error {
	top := d.l.frames[0].total
	height := svgHeader + float64(d.l.depth)*svgRow + svgFooter
	fmt.Fprintf(d.w, `<svg xmlns="http://www.w3.org/2000/svg" class="fg" width="%g" height="%g" viewBox="0 0 %g %g" role="group" aria-label="%s">`,
		svgWidth, height, svgWidth, height, escape("Flame graph: "+d.title+", "+quantity(top, d.sum.Type.Unit)))
	fmt.Fprintf(d.w, "\n<title>%s</title>\n<desc>%s</desc>\n", escape(d.title), escape(strings.Join(d.facts, "; ")))
	light, dark := paletteCSS(d.l.present(), 0.835, 0.018), paletteCSS(d.l.present(), 0.455, 0.018)
	if d.changes != nil {
		light, dark = changeCSS(0.9, -0.12), changeCSS(0.38, 0.1)
	}
	fmt.Fprintf(d.w, "<style>\n%s%s@media (prefers-color-scheme:dark){\n%s}\n</style>\n", svgStyle, light, dark)
	fmt.Fprintf(d.w, "<rect class=\"bg\" width=\"100%%\" height=\"100%%\"/>\n")
	d.writeFrames(top)
	d.writeHeader(top)
	d.writeFooter(height)
	if err := d.writeScript(); err != nil {
		return err
	}
	d.w.WriteString("</svg>\n")
	return d.w.Flush()
}

func (d *svgDoc) writeHeader(top int64) {
	fmt.Fprintf(d.w, "<g class=\"head\"><rect class=\"bg\" width=\"100%%\" height=\"%g\"/>\n", svgHeader-4)
	fmt.Fprintf(d.w, `<text class="title" x="%g" y="28">%s</text>`, svgMargin, escape(d.title))
	about := cmp.Or(d.about, quantity(top, d.sum.Type.Unit))
	if d.sum.Duration > 0 && d.changes == nil {
		about += " in a window of " + quantity(int64(d.sum.Duration), "nanoseconds")
		if d.sum.Type == (prof.ValueType{Type: "cpu", Unit: "nanoseconds"}) {
			about += fmt.Sprintf(": %.2f CPUs busy on average", float64(top)/float64(d.sum.Duration))
		}
	}
	fmt.Fprintf(d.w, "\n<text class=\"sub\" x=\"%g\" y=\"46\">%s</text>\n<g class=\"legend\">", svgMargin, escape(about))
	if d.changes != nil {
		d.writeChangeLegend()
	} else {
		d.writeLegend(top)
	}
	d.w.WriteString("</g></g>\n")
}

// writeLegend lists the kinds of frames in the graph with their share of self
// value, which add up to everything.
func (d *svgDoc) writeLegend(top int64) {
	var self [prof.NumKinds + 1]int64
	for _, f := range d.l.frames[1:] {
		k := d.l.kinds[f.fn]
		if k == kindElided {
			self[k] += f.total
		} else {
			self[k] += f.self
		}
	}
	heading := "self by kind:"
	fmt.Fprintf(d.w, `<g class="chip"><text x="%g" y="68">%s</text></g>`, svgMargin, heading)
	x := svgMargin + float64(len(heading)+1)*legendChar
	for k, ok := range d.l.present() {
		if !ok || k == int(prof.KindProcess) && self[k] == 0 {
			continue
		}
		name := "smaller frames"
		if k != kindElided {
			name = prof.Kind(k).String()
		}
		label := name + " " + percent(self[k], top)
		fmt.Fprintf(d.w, `<g class="chip"><title>%s: %s of self value, which is %s of %s</title><rect class="k%d s4" x="%.0f" y="58" width="11" height="11" rx="3"/><text x="%.0f" y="68">%s</text></g>`,
			escape(name), quantity(self[k], d.sum.Type.Unit), percent(self[k], top), quantity(top, d.sum.Type.Unit), k, x, x+16, escape(label))
		x += 16 + float64(utf8.RuneCountInString(label))*legendChar + 12
	}
}

func (d *svgDoc) writeFooter(height float64) {
	fmt.Fprintf(d.w, "<g class=\"foot\" transform=\"translate(0 %g)\">", height-svgFooter)
	line, y := "", 20
	flush := func() {
		if line != "" {
			fmt.Fprintf(d.w, `<text x="%g" y="%d">%s</text>`, svgMargin, y, escape(line))
			y += 16
			line = ""
		}
	}
	for _, fact := range d.facts {
		if utf8.RuneCountInString(line)+utf8.RuneCountInString(fact) > 165 {
			flush()
		}
		if line != "" {
			line += " · "
		}
		line += fact
	}
	flush()
	d.w.WriteString("</g>\n")
}

// writeFrames draws what a viewer without a script sees.
func (d *svgDoc) writeFrames(top int64) {
	d.w.WriteString("<g class=\"frames\" role=\"tree\">\n")
	inner := svgWidth - 2*svgMargin
	for _, f := range d.l.frames {
		if !f.static || top <= 0 {
			continue
		}
		x := svgMargin + inner*float64(f.start)/float64(top)
		width := inner * float64(f.total) / float64(top)
		y := svgHeader + float64(f.depth)*svgRow
		fn := d.l.funcs[f.fn]
		fmt.Fprintf(d.w, `<g><title>%s</title><rect class="%s" x="%s" y="%g" width="%s" height="%g" rx="2"/>`,
			escape(d.tooltip(f, fn, top)), d.class(f), fixed(x), y, fixed(max(width-0.6, 0.3)), svgRow-1)
		if label := fit(fn.Name, width); label != "" {
			fmt.Fprintf(d.w, `<text x="%s" y="%g">%s</text>`, fixed(x+svgPadding), y+12.5, escape(label))
		}
		d.w.WriteString("</g>\n")
	}
	d.w.WriteString("</g>\n")
}

func (d *svgDoc) class(f frame) string {
	if c, ok := d.changeOf(f); ok {
		if c.now == 0 && c.before != 0 {
			return "d0 gone"
		}
		return fmt.Sprintf("d%d", c.level())
	}
	return fmt.Sprintf("k%d s%d", d.l.kinds[f.fn], shade(d.l.funcs[f.fn]))
}

func (d *svgDoc) tooltip(f frame, fn prof.Func, top int64) string {
	var b strings.Builder
	b.WriteString(cut(fn.Name, 300))
	if fn.Module != "" {
		b.WriteString(" (" + cut(fn.Module, 100) + ")")
	}
	if c, ok := d.changeOf(f); ok {
		return b.String() + d.changeTooltip(c)
	}
	unit := d.sum.Type.Unit
	fmt.Fprintf(&b, "\ntotal %s, %s of %s", quantity(f.total, unit), percent(f.total, top), quantity(top, unit))
	if f.self != 0 {
		fmt.Fprintf(&b, "\nself %s, %s of %s", quantity(f.self, unit), percent(f.self, top), quantity(top, unit))
	}
	return b.String()
}

// writeScript writes the data that the script draws from, then the script. JSON
// from encoding/json has no <, > or &, so it is also XML text.
func (d *svgDoc) writeScript() error {
	kinds := make([]string, prof.NumKinds+1)
	for k := range prof.NumKinds {
		kinds[k] = prof.Kind(k).String()
	}
	kinds[kindElided] = "smaller frames"
	names, modules := make([]string, len(d.l.funcs)), []string{}
	module, shadeOf := make([]int, len(d.l.funcs)), make([]int, len(d.l.funcs))
	index := make(map[string]int)
	for i, f := range d.l.funcs {
		m, ok := index[f.Module]
		if !ok {
			m = len(modules)
			index[f.Module] = m
			modules = append(modules, f.Module)
		}
		names[i], module[i], shadeOf[i] = f.Name, m, shade(f)
	}
	data, err := json.Marshal(map[string]any{
		"unit": d.sum.Type.Unit, "kinds": kinds, "names": names, "modules": modules,
		"module": module, "kind": d.l.kinds, "shade": shadeOf,
		"header": svgHeader, "row": svgRow, "footer": svgFooter, "margin": svgMargin, "padding": svgPadding,
	})
	if err != nil {
		return err
	}
	d.w.WriteString("<script type=\"application/json\" class=\"data\">")
	d.w.Write(data[:len(data)-1])
	d.w.WriteString(`,"frames":[`)
	var number []byte
	for i, f := range d.l.frames {
		number = number[:0]
		if i > 0 {
			number = append(number, ',')
		}
		for j, v := range [...]int64{int64(f.fn), f.total, f.self, int64(f.descendants)} {
			if j > 0 {
				number = append(number, ',')
			}
			number = strconv.AppendInt(number, v, 10)
		}
		d.w.Write(number)
	}
	d.w.WriteString("]")
	d.writeChanges()
	d.w.WriteString("}</script>\n<script><![CDATA[\n")
	d.w.WriteString(svgScript)
	d.w.WriteString("]]></script>\n")
	return nil
}

// writeChanges writes for each frame of a difference its class, and before, now and self of both.
func (d *svgDoc) writeChanges() {
	if d.changes == nil {
		return
	}
	d.w.WriteString(`,"changes":[`)
	for i, f := range d.l.frames {
		if i > 0 {
			d.w.WriteByte(',')
		}
		if c, ok := d.changeOf(f); ok {
			fmt.Fprintf(d.w, `["%s",%d,%d,%d,%d]`, d.class(f), c.before, c.now, c.beforeSelf, c.nowSelf)
		} else {
			d.w.WriteString("null")
		}
	}
	d.w.WriteByte(']')
}

// fit returns as much of name as a frame of this width shows, or "" if that says
// nothing. A path before a function's name goes first.
func fit(name string, width float64) string {
	n := int((width - 2*svgPadding) / svgChar)
	if n < 3 {
		return ""
	}
	if utf8.RuneCountInString(name) <= n {
		return name
	}
	head := name
	if i := strings.IndexAny(name, "([<"); i >= 0 {
		head = name[:i]
	}
	if i := strings.LastIndexByte(head, '/'); i > 0 && i < len(head)-1 {
		name = name[i+1:]
	}
	runes := []rune(name)
	if len(runes) <= n {
		return name
	}
	return string(runes[:n-1]) + "…"
}

// fixed writes a coordinate with a tenth of a pixel.
func fixed(x float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(x, 'f', 1, 64), ".0")
}

var xmlEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;")

// escape makes s, which must be clean, text or an attribute of XML.
func escape(s string) string { return xmlEscaper.Replace(s) }

package render

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

// Sizes of the drawing, in pixels.
const (
	heapWidth  = 1200.0
	heapLeft   = 84.0
	heapRight  = 24.0
	heapTop    = 78.0
	heapGraph  = 380.0
	heapAxis   = 44.0
	heapLegend = 20.0 // of a row
	heapChars  = 150  // of a name in the legend
)

const heapStyle = `.ht{font:12px ui-sans-serif,system-ui,sans-serif;background:#fff}
.ht text{fill:#1b1d22}.ht .title{font-size:18px;font-weight:600}.ht .sub{fill:#565b66}.ht .mono{font-family:ui-monospace,monospace}
.ht .bg{fill:#fff}.ht .grid{stroke:#d9dce3}.ht .total{fill:none;stroke:#1b1d22;stroke-width:1.2}.ht .peak{stroke:#b3261e;stroke-dasharray:4 3}.ht .mark{fill:#b3261e}
@media (prefers-color-scheme:dark){.ht{background:#15171c}.ht .bg{fill:#15171c}.ht text{fill:#e8eaf0}.ht .sub{fill:#a3a9b6}.ht .grid{stroke:#343842}
.ht .total{stroke:#e8eaf0}.ht .peak{stroke:#ff8a80}.ht .mark{fill:#ff8a80}}
`

// heapColours are told apart by all common kinds of colour vision, on white and on black; the last is of all other sites.
func heapColours() []string {
	return []string{"#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#ee7733", "#009988", "#7e6bc4", "#b8860b",
		"#5d8aa8", "#d1668f", "#9aa0ab"}
}

// WriteHeapTimeline draws the heap over time, stacked by what made its peak, as one SVG without a script.
func WriteHeapTimeline(w io.Writer, h *prof.HeapHistory) error {
	d := heapDrawing{w: bufio.NewWriter(w), h: h, shown: shownSites(h)}
	d.most = max(h.Peak.Bytes, 1)
	d.span = max(time.Duration(len(h.Moments))*h.Step, h.Duration, 1)
	height := heapTop + heapGraph + heapAxis + heapLegend*float64(len(d.shown)+2)
	title := "Heap over time: " + heapPeakText(h)
	fmt.Fprintf(d.w, `<svg xmlns="http://www.w3.org/2000/svg" class="ht" width="%g" height="%g" viewBox="0 0 %g %g" role="img" aria-label="%s">`,
		heapWidth, height, heapWidth, height, escape(title))
	fmt.Fprintf(d.w, "\n<title>%s</title>\n<desc>%s</desc>\n<style>\n%s</style>\n<rect class=\"bg\" width=\"100%%\" height=\"100%%\"/>\n",
		escape(title), escape(strings.Join(cleanAll(h.Notes), "; ")), heapStyle)
	fmt.Fprintf(d.w, "<text class=\"title\" x=\"%g\" y=\"30\">Heap over time</text>\n<text class=\"sub\" x=\"%g\" y=\"50\">%s</text>\n",
		svgMargin, svgMargin, escape(heapPeakText(h)+"; estimated from a sample for each "+quantity(h.Period, "bytes")+" allocated"))
	d.axes()
	d.areas()
	d.peak()
	d.legend()
	d.w.WriteString("</svg>\n")
	if err := d.w.Flush(); err != nil {
		return fmt.Errorf("write heap timeline: %w", err)
	}
	return nil
}

func heapPeakText(h *prof.HeapHistory) string {
	return fmt.Sprintf("peak %s at %s", quantity(h.Peak.Bytes, "bytes"), h.Peak.At.Round(time.Millisecond))
}

// shownSites are those whose bytes over time are kept, and that had any at the peak.
func shownSites(h *prof.HeapHistory) []*prof.HeapSite {
	var out []*prof.HeapSite
	for i := range h.Sites {
		if s := &h.Sites[i]; len(s.Steps) == len(h.Moments) && s.PeakBytes > 0 && len(out) < len(heapColours())-1 {
			out = append(out, s)
		}
	}
	return out
}

func cleanAll(lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = clean(l)
	}
	return out
}

type heapDrawing struct {
	w     *bufio.Writer
	h     *prof.HeapHistory
	shown []*prof.HeapSite
	most  int64
	span  time.Duration
}

func (d *heapDrawing) x(at time.Duration) float64 {
	return heapLeft + float64(at)/float64(d.span)*(heapWidth-heapLeft-heapRight)
}

func (d *heapDrawing) y(bytes int64) float64 {
	return heapTop + heapGraph*(1-float64(bytes)/float64(d.most)/1.05)
}

func (d *heapDrawing) axes() {
	const lines = 5
	for i := range lines + 1 {
		v := d.most * int64(i) / lines
		fmt.Fprintf(d.w, "<line class=\"grid\" x1=\"%g\" x2=\"%g\" y1=\"%.1f\" y2=\"%.1f\"/><text class=\"sub\" x=\"%g\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
			heapLeft, heapWidth-heapRight, d.y(v), d.y(v), heapLeft-8, d.y(v)+4, escape(quantity(v, "bytes")))
	}
	for i := range lines + 1 {
		at := d.span * time.Duration(i) / lines
		fmt.Fprintf(d.w, "<text class=\"sub\" x=\"%.1f\" y=\"%g\" text-anchor=\"middle\">%s s</text>\n",
			d.x(at), heapTop+heapGraph+20, strconv.FormatFloat(at.Seconds(), 'f', 2, 64))
	}
}

// areas draws the sites on top of each other, the largest at the bottom, what others have above, and the most of each step
// as a line.
func (d *heapDrawing) areas() {
	n := len(d.h.Moments)
	below := make([]int64, n)
	colours := heapColours()
	for i, s := range d.shown {
		above := make([]int64, n)
		for k := range above {
			above[k] = below[k] + max(s.Steps[k], 0)
		}
		d.area(below, above, colours[i], s.Name()+" in "+s.Process)
		below = above
	}
	rest := make([]int64, n)
	for k, m := range d.h.Moments {
		rest[k] = max(m.Last, below[k])
	}
	d.area(below, rest, colours[len(colours)-1], "other sites")
	if n == 0 {
		return
	}
	var path strings.Builder
	for k, m := range d.h.Moments {
		fmt.Fprintf(&path, "%s%.1f %.1f", [2]string{"M", "L"}[min(k, 1)], d.x(time.Duration(2*k+1)*d.h.Step/2), d.y(m.Most))
	}
	fmt.Fprintf(d.w, "<path class=\"total\" d=\"%s\"/>\n", path.String())
}

func (d *heapDrawing) area(below, above []int64, colour, name string) {
	if len(above) == 0 {
		return
	}
	var path strings.Builder
	fmt.Fprintf(&path, "M%.1f %.1f", d.x(0), d.y(0))
	at := func(k int) float64 { return d.x(time.Duration(k+1) * d.h.Step) }
	for k := range above {
		fmt.Fprintf(&path, "L%.1f %.1f", at(k), d.y(above[k]))
	}
	for k := len(below) - 1; k >= 0; k-- {
		fmt.Fprintf(&path, "L%.1f %.1f", at(k), d.y(below[k]))
	}
	fmt.Fprintf(d.w, "<path fill=\"%s\" d=\"%sZ\"><title>%s</title></path>\n", colour, path.String(), escape(clean(name)))
}

func (d *heapDrawing) peak() {
	x, y := d.x(d.h.Peak.At), d.y(d.h.Peak.Bytes)
	anchor, at := "start", x+8
	if x > heapWidth*0.7 {
		anchor, at = "end", x-8
	}
	fmt.Fprintf(d.w, "<line class=\"peak\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%g\"/><circle class=\"mark\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>"+
		"<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x, x, y, heapTop+heapGraph, x, y, at, y-6, anchor, escape(heapPeakText(d.h)))
}

// legend says what made the peak.
func (d *heapDrawing) legend() {
	y := heapTop + heapGraph + heapAxis + heapLegend
	colours := heapColours()
	rest := d.h.Peak.Known
	row := func(colour, name string, bytes int64) {
		fmt.Fprintf(d.w, "<rect x=\"%g\" y=\"%g\" width=\"12\" height=\"12\" fill=\"%s\"/><text x=\"%g\" y=\"%g\" text-anchor=\"end\">%s</text><text class=\"sub\" x=\"%g\" y=\"%g\" text-anchor=\"end\">%s</text>"+
			"<text class=\"mono\" x=\"%g\" y=\"%g\">%s</text>\n", svgMargin, y-10, colour, svgMargin+100, y, escape(quantity(bytes, "bytes")),
			svgMargin+160, y, percent(bytes, d.h.Peak.Known), svgMargin+172, y, escape(cut(clean(name), heapChars)))
		y += heapLegend
	}
	for i, s := range d.shown {
		row(colours[i], fmt.Sprintf("%s in %s (%d)", s.Name(), s.Process, s.PID), s.PeakBytes)
		rest -= s.PeakBytes
	}
	row(colours[len(colours)-1], "other sites", max(rest, 0))
}

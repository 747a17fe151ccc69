package server

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
	"github.com/ebpfprof/ebpfprof/pkg/render"
)

// diff compares a span of time with a base. The base's values are scaled so that spans of different length, or different
// load, can be compared: normalize=time makes them what the base would have had in as much covered time, total makes both
// totals equal, none leaves them.
//
// Drawings and tables of a difference are the page's: the formats here are those that have a notion of two values.
func (s *Server) diff(w http.ResponseWriter, r *http.Request, p params) error {
	q, kind, err := p.query(s.o.Status(), defaultSpan)
	if err != nil {
		return err
	}
	base := q
	if base.From, base.To, err = p.span("base_", q.From, q.To.Sub(q.From)); err != nil {
		return err
	}
	out, err := p.output("json", "folded", "pprof")
	if err != nil {
		return err
	}
	normalize, err := p.choice("normalize", "time", "total", "none")
	if err != nil {
		return err
	}
	nodes, err := p.integer("max_nodes", defaultNodes, 1, maxNodes)
	if err != nil {
		return err
	}
	release, err := s.acquire(r.Context())
	if err != nil {
		return err
	}
	defer release()
	d := difference{q: q, base: base, valueName: p.Get("value")}
	if d.p, d.covered, err = s.merged(r.Context(), q, kind); err != nil {
		return err
	}
	if d.basis, d.baseCovered, err = s.merged(r.Context(), base, kind); err != nil {
		return err
	}
	if err := d.prepare(normalize); err != nil {
		return err
	}
	out.head(w, q)
	switch out.name {
	case "folded":
		return sendBody(w, r, out.contentType, d.writeFolded)
	case "pprof":
		merged, err := d.profile()
		if err != nil {
			return err
		}
		return send(w, r, out, merged, render.Options{})
	}
	return s.sendJSON(w, r, d.flame(nodes))
}

// A difference is two profiles and what the second is multiplied with.
type difference struct {
	q, base              Query
	p, basis             *pprof.Profile
	covered, baseCovered Coverage
	valueName            string
	value, baseValue     int
	scale                float64
}

func (d *difference) prepare(normalize string) (err error) {
	if d.value, err = profile.ValueIndex(d.p, d.valueName); err != nil {
		return badParam("value", "%w", err)
	}
	if d.baseValue, err = profile.ValueIndex(d.basis, d.valueName); err != nil {
		return badParam("value", "%w", err)
	}
	part, whole := 1.0, 1.0
	switch normalize {
	case "time":
		part, whole = d.covered.Covered.Seconds(), d.baseCovered.Covered.Seconds()
	case "total":
		part, whole = float64(profile.Summarize(d.p, d.value).Total), float64(profile.Summarize(d.basis, d.baseValue).Total)
	}
	d.scale = 1 // where a side is empty there is nothing to compare with
	if part > 0 && whole > 0 {
		d.scale = part / whole
	}
	return nil
}

func (d *difference) flame(limit int) *flame {
	f := flameHead(d.q, d.p, d.covered, d.value)
	sum := profile.Summarize(d.basis, d.baseValue)
	f.Base = &flameBase{
		From: d.base.From, To: d.base.To, Covered: coverageOf(d.baseCovered), Samples: sum.Samples, Total: sum.Total, Scale: d.scale,
	}
	f.fill(newUnion(
		profile.NewTree(d.p, profile.TreeOptions{Value: d.value, Comm: true}),
		profile.NewTree(d.basis, profile.TreeOptions{Value: d.baseValue, Comm: true})), limit)
	return f
}

// profile returns what was added since the base, negative where there is less, as `go tool pprof -base` shows it.
func (d *difference) profile() (*pprof.Profile, error) {
	if len(d.basis.Sample) == 0 {
		return d.p, nil
	}
	d.basis.Scale(-d.scale)
	if len(d.p.Sample) == 0 {
		return d.basis, nil
	}
	merged, err := pprof.Merge([]*pprof.Profile{d.p, d.basis})
	if err != nil {
		return nil, fmt.Errorf("subtract base: %w", err)
	}
	return merged, nil
}

// writeFolded writes lines "stack base new", the base scaled, sorted by stack.
func (d *difference) writeFolded(w io.Writer) error {
	now, err := foldedLines(d.p, d.valueName)
	if err != nil {
		return err
	}
	before, err := foldedLines(d.basis, d.valueName)
	if err != nil {
		return err
	}
	bw := bufio.NewWriter(w)
	for len(now) > 0 || len(before) > 0 {
		var old, new int64
		stack := ""
		order := 0
		switch {
		case len(now) == 0:
			order = 1
		case len(before) == 0:
			order = -1
		default:
			order = strings.Compare(now[0].stack, before[0].stack)
		}
		if order <= 0 {
			stack, new, now = now[0].stack, now[0].n, now[1:]
		}
		if order >= 0 {
			stack, old, before = before[0].stack, before[0].n, before[1:]
		}
		fmt.Fprintf(bw, "%s %d %d\n", stack, int64(math.Round(float64(old)*d.scale)), new)
	}
	return bw.Flush()
}

type foldedLine struct {
	stack string
	n     int64
}

// foldedLines returns p as package render folds it: sorted, each stack once.
func foldedLines(p *pprof.Profile, value string) ([]foldedLine, error) {
	format, err := render.FormatByName("folded")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := render.Write(&b, format, p, render.Options{Value: value}); err != nil {
		return nil, err
	}
	var lines []foldedLine
	for line := range strings.Lines(b.String()) {
		line = strings.TrimSuffix(line, "\n")
		i := strings.LastIndexByte(line, ' ')
		n, err := strconv.ParseInt(line[i+1:], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read folded stack: %w", err)
		}
		lines = append(lines, foldedLine{line[:max(i, 0)], n})
	}
	return lines, nil
}

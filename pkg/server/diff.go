package server

import (
	"io"
	"net/http"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
	"github.com/ebpfprof/ebpfprof/pkg/render"
)

// diff compares a span of time with a base. The base's values are scaled so that spans of different length, or different
// load, can be compared: normalize=time makes them what the base would have had in as much covered time, total makes both
// totals equal, none leaves them.
//
// The formats are those that have a notion of two values; the page makes its own views of two stacks documents.
func (s *Server) diff(w http.ResponseWriter, r *http.Request, p params) error {
	q, kind, err := p.query(s.o.Status(), defaultSpan)
	if err != nil {
		return err
	}
	base := q
	if base.From, base.To, err = p.span("base_", q.From, q.To.Sub(q.From)); err != nil {
		return err
	}
	out, err := p.output("json", "folded", "pprof", "svg")
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
	if out.name == "json" {
		return s.sendJSON(w, r, d.flame(nodes))
	}
	compared, err := render.NewDifference(d.basis, d.p, d.valueName, d.scale)
	if err != nil {
		return badParam("value", "%w", err)
	}
	return sendAs(w, r, out, func(w io.Writer) error {
		return compared.Write(w, out.name, render.Options{Title: title(q, d.p.SampleType[d.value].Type)})
	})
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
	switch {
	case normalize == "time" && profile.IsLevel(d.q.Kind): // a mean has no length
	case normalize == "time":
		part, whole = d.covered.Covered.Seconds(), d.baseCovered.Covered.Seconds()
	case normalize == "total":
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

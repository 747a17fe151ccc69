package server

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
	"github.com/ebpfprof/ebpfprof/pkg/render"
	"github.com/ebpfprof/ebpfprof/web"
)

// Bounds of the tree that format=json answers with.
const (
	defaultNodes = 20_000
	maxNodes     = 200_000
)

// defaultSpan is what a profile is of when no time is given.
const defaultSpan = 5 * time.Minute

// A output says how a format is served.
type output struct {
	name        string
	contentType string
	extension   string // of the file that a browser saves; "": it shows the answer
	policy      string // "": the strict one
}

func outputs() []output {
	return []output{
		{name: "pprof", contentType: "application/octet-stream", extension: ".pb.gz"},
		{name: "folded", contentType: "text/plain; charset=utf-8"},
		{name: "svg", contentType: "image/svg+xml", policy: policyDrawing},
		{name: "speedscope", contentType: "application/json", extension: ".speedscope.json"},
		{name: "firefox", contentType: "application/json", extension: ".firefox.json"},
		{name: "txt", contentType: "text/plain; charset=utf-8"},
		{name: "json", contentType: "application/json"},
		{name: "stacks", contentType: "application/json"},
		{name: "html", contentType: "text/html; charset=utf-8", extension: ".html", policy: web.FilePolicy() + "; frame-ancestors 'none'"},
	}
}

// output returns the format that is asked for, by default the first of names.
func (p params) output(names ...string) (output, error) {
	name, err := p.choice("format", names...)
	if err != nil {
		return output{}, err
	}
	for _, o := range outputs() {
		if o.name == name {
			return o, nil
		}
	}
	return output{}, badParam("format", "%q is not served", name)
}

// acquire waits for a turn to work on whole profiles, which take the most memory of all that clients can ask for. A turn
// lasts until the client has its answer.
func (s *Server) acquire(ctx context.Context) (release func(), err error) {
	timeout := time.NewTimer(s.o.Limits.QueryWait)
	defer timeout.Stop()
	select {
	case s.queries <- struct{}{}:
		return func() { <-s.queries }, nil
	case <-timeout.C:
		return nil, busy("%d profiles are being merged or sent, which is the limit", cap(s.queries))
	case <-s.stopping:
		return nil, busy("the daemon is stopping")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// merged returns the profile of a query, which is valid and has sample types even if nothing is known.
func (s *Server) merged(ctx context.Context, q Query, k KindStatus) (*pprof.Profile, Coverage, error) {
	p, covered, err := s.o.History.Profile(ctx, q)
	if err != nil {
		return nil, covered, fmt.Errorf("merge profiles of %s: %w", q.Kind, err)
	}
	if p == nil || len(p.SampleType) == 0 {
		return profile.NewBuilder(builderOptions(k, q.From, q.To.Sub(q.From))).Profile(), covered, nil
	}
	if err := p.CheckValid(); err != nil {
		return nil, covered, fmt.Errorf("merge profiles of %s: %w", q.Kind, err)
	}
	return p, covered, nil
}

func builderOptions(k KindStatus, start time.Time, d time.Duration, comments ...string) profile.BuilderOptions {
	event := profile.ValueType{Type: k.Name, Unit: k.Unit}
	return profile.BuilderOptions{
		SampleTypes: []profile.ValueType{{Type: "samples", Unit: "count"}, event},
		PeriodType:  event, Period: k.Period, Start: start, Duration: d, Comments: comments,
	}
}

func (s *Server) profile(w http.ResponseWriter, r *http.Request, p params) error {
	q, kind, err := p.query(s.o.Status(), defaultSpan)
	if err != nil {
		return err
	}
	out, err := p.output("pprof", "folded", "svg", "speedscope", "firefox", "txt", "json", "stacks", "html")
	if err != nil {
		return err
	}
	fallback := defaultNodes
	if out.name == "stacks" || out.name == "html" {
		fallback = maxNodes
	}
	nodes, err := p.integer("max_nodes", fallback, 1, maxNodes)
	if err != nil {
		return err
	}
	release, err := s.acquire(r.Context())
	if err != nil {
		return err
	}
	defer release()
	merged, covered, err := s.merged(r.Context(), q, kind)
	if err != nil {
		return err
	}
	value, err := profile.ValueIndex(merged, p.Get("value"))
	if err != nil {
		return badParam("value", "%w", err)
	}
	out.head(w, q)
	switch out.name {
	case "json":
		return s.sendJSON(w, r, newFlame(q, merged, covered, value, nodes))
	case "stacks", "html":
		return sendStacks(w, r, out, merged, stacksOptions(q, covered, p.Get("value"), nodes))
	}
	return send(w, r, out, merged, render.Options{Title: title(q, merged.SampleType[value].Type), Value: p.Get("value")})
}

func stacksOptions(q Query, c Coverage, value string, nodes int) render.StacksOptions {
	return render.StacksOptions{
		Kind: q.Kind, Service: q.Service, Value: value, From: q.From, To: q.To, Nodes: nodes,
		Covered: &render.Coverage{Seconds: c.Covered.Seconds(), Windows: c.Windows, Lost: c.Lost, Skipped: c.Skipped},
	}
}

// sendStacks writes p as the page reads it, or with the page around it.
func sendStacks(w http.ResponseWriter, r *http.Request, out output, p *pprof.Profile, o render.StacksOptions) error {
	return sendBody(w, r, out.contentType, func(w io.Writer) error {
		if out.name == "stacks" {
			return render.Stacks(w, p, o)
		}
		o.Title = strings.TrimSpace(visible(o.Kind + " " + o.Service))
		return web.SingleFile(w, o.Title, func(w io.Writer) error { return render.Documents(w, render.Document{Profile: p, Options: o}) })
	})
}

// head sets the headers of an answer in this format.
func (o output) head(w http.ResponseWriter, q Query) {
	if o.policy != "" {
		w.Header().Set("Content-Security-Policy", o.policy)
	}
	if o.extension != "" {
		name := fileName(o.extension, q.Kind, q.Service, q.To.UTC().Format("20060102T150405Z"))
		w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	}
}

// title names a drawing.
func title(q Query, value string) string {
	if q.Service == "" {
		return "" // the sample type says it
	}
	return value + " of " + visible(q.Service)
}

// send writes p as one of the formats of package render.
func send(w http.ResponseWriter, r *http.Request, out output, p *pprof.Profile, o render.Options) error {
	format, err := render.FormatByName(out.name)
	if err != nil {
		return err
	}
	return sendAs(w, r, out, func(w io.Writer) error { return render.Write(w, format, p, o) })
}

// sendAs writes an answer in this format, compressed unless it is so already.
func sendAs(w http.ResponseWriter, r *http.Request, out output, write func(io.Writer) error) error {
	if out.name != "pprof" {
		return sendBody(w, r, out.contentType, write)
	}
	w.Header().Set("Content-Type", out.contentType)
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	return write(w)
}

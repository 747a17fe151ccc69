package server

import (
	"bytes"
	_ "embed" // for the page
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"time"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS []byte
)

// Bounds of the page.
const (
	maxPageServices = 500
	maxLinkName     = 4 << 10 // bytes, escaped
)

// A pageData is what the page shows. Names are made fit to be shown; what escapes them for HTML is html/template.
type pageData struct {
	Status   Status
	Uptime   time.Duration
	Live     int
	Services []pageService
	More     int    // services that are not listed
	Problem  string // why there is no list
}

// A pageService has no links where a URL cannot hold its name.
type pageService struct{ Name, SVG, Top, Pprof, Record string }

// page shows state and services, without a script.
func (s *Server) page(w http.ResponseWriter, r *http.Request, p params) error {
	status := s.o.Status()
	data := pageData{Status: status, Uptime: p.now.Sub(status.Started).Round(time.Second), Live: len(s.live)}
	if kind, err := p.kind(status); err != nil {
		data.Problem = "CPU time is not sampled."
	} else if series, err := s.o.History.Series(r.Context(), kind.Name, p.now.Add(-5*time.Minute), p.now); err != nil {
		s.o.Logger.Error("list services", "err", err)
		data.Problem = "The history cannot be read; the log says why."
	} else {
		services := group(series)
		data.More = max(len(services)-maxPageServices, 0)
		for _, one := range services[:len(services)-data.More] {
			data.Services = append(data.Services, newPageService(one.Name))
		}
	}
	var b bytes.Buffer
	if err := s.pageTemplate.Execute(&b, data); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	w.Header().Set("Content-Security-Policy", policyPage)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, err := w.Write(b.Bytes())
	return err
}

// newPageTemplate panics if the embedded page is wrong, which no build that passes its tests has.
func newPageTemplate() *template.Template {
	return template.Must(template.New("page").Funcs(template.FuncMap{"visible": visible, "bytes": byteText}).Parse(pageHTML))
}

// newPageService makes the links of a service, whatever its name is.
func newPageService(name string) pageService {
	escaped := url.PathEscape(name)
	if len(escaped) > maxLinkName {
		return pageService{Name: name}
	}
	link := func(format string) string {
		return "/api/v1/profile?" + url.Values{"kind": {"cpu"}, "service": {name}, "from": {"now-5m"}, "format": {format}}.Encode()
	}
	one := pageService{Name: name, SVG: link("svg"), Top: link("txt"), Pprof: link("pprof")}
	if name != "." && name != ".." { // which a browser takes for a way up, escaped or not
		one.Record = "/pprof/" + escaped + "/profile?seconds=10"
	}
	return one
}

func (s *Server) pageStyle(w http.ResponseWriter, _ *http.Request, _ params) error {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, err := w.Write(pageCSS)
	return err
}

func byteText(n any) string {
	v := 0.0
	switch n := n.(type) {
	case int64:
		v = float64(n)
	case uint64:
		v = float64(n)
	}
	return fmt.Sprintf("%.1f MiB", v/(1<<20))
}

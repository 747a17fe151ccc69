package server

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/ebpfprof/ebpfprof/web"
)

// The parts of an OpenAPI document that the tests read.
type apiDocument struct {
	OpenAPI    string                                `json:"openapi"`
	Paths      map[string]map[string]json.RawMessage `json:"paths"`
	Components struct {
		Parameters map[string]apiParameter `json:"parameters"`
		Schemas    map[string]any          `json:"schemas"`
		Responses  map[string]any          `json:"responses"`
	} `json:"components"`
}

type apiOperation struct {
	ID         string                     `json:"operationId"`
	Parameters []apiParameter             `json:"parameters"`
	Responses  map[string]json.RawMessage `json:"responses"`
}

type apiParameter struct {
	Ref     string `json:"$ref"`
	Name    string `json:"name"`
	In      string `json:"in"`
	Example any    `json:"example"`
	Schema  struct {
		Type    string   `json:"type"`
		Enum    []string `json:"enum"`
		Default any      `json:"default"`
	} `json:"schema"`
}

// An apiCall is a documented operation with its parameters in full.
type apiCall struct {
	apiOperation
	method, path string
}

func apiCalls(t testing.TB) []apiCall {
	t.Helper()
	var doc apiDocument
	if err := json.Unmarshal(openAPIDocument, &doc); err != nil {
		t.Fatal(err)
	}
	var calls []apiCall
	for path, methods := range doc.Paths {
		for method, raw := range methods {
			call := apiCall{method: strings.ToUpper(method), path: path}
			if err := json.Unmarshal(raw, &call.apiOperation); err != nil {
				t.Fatalf("%s %s: %v", method, path, err)
			}
			for i, p := range call.Parameters {
				if name, ok := strings.CutPrefix(p.Ref, "#/components/parameters/"); ok {
					call.Parameters[i] = doc.Components.Parameters[name]
				}
				if call.Parameters[i].Name == "" || call.Parameters[i].Example == nil {
					t.Errorf("%s %s: parameter %d has no name or no example", method, path, i)
				}
			}
			calls = append(calls, call)
		}
	}
	return calls
}

// query returns the names of the query parameters.
func (c apiCall) query() (names []string) {
	for _, p := range c.Parameters {
		if p.In == "query" {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	return names
}

// target returns a URL with the given parameters set to their examples.
func (c apiCall) target(names ...string) string {
	path, values := c.path, url.Values{}
	for _, p := range c.Parameters {
		if p.In == "path" && c.ID == "asset" { // names have hashes
			path = "/assets/" + web.Assets()[0].Name
		} else if p.In == "path" {
			path = strings.ReplaceAll(path, "{"+p.Name+"}", fmt.Sprint(p.Example))
		} else if slices.Contains(names, p.Name) {
			values[p.Name] = examples(p)
		}
	}
	return path + "?" + values.Encode()
}

func examples(p apiParameter) []string {
	list, ok := p.Example.([]any)
	if !ok {
		return []string{fmt.Sprint(p.Example)}
	}
	var out []string
	for _, e := range list {
		out = append(out, fmt.Sprint(e))
	}
	return out
}

// TestDocumentIsTheRouter: the document has the routes and parameters that there are, and no others.
func TestDocumentIsTheRouter(t *testing.T) {
	f := newFixture(t)
	documented := map[string][]string{}
	for _, c := range apiCalls(t) {
		documented[c.method+" "+c.path] = c.query()
	}
	for _, r := range f.table() {
		key := r.method + " " + strings.Replace(r.path, "{$}", "", 1)
		names := slices.Sorted(slices.Values(r.params))
		have, ok := documented[key]
		if !ok {
			t.Errorf("%s is not documented", key)
		} else if !slices.Equal(names, have) {
			t.Errorf("%s takes %v, the document says %v", key, names, have)
		}
		delete(documented, key)
	}
	for key := range documented {
		t.Errorf("%s is documented and does not exist", key)
	}
}

// TestDocumentReferences: every $ref of the document leads somewhere.
func TestDocumentReferences(t *testing.T) {
	var root any
	if err := json.Unmarshal(openAPIDocument, &root); err != nil {
		t.Fatal(err)
	}
	refs := 0
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				refs++
				at := root
				for _, part := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
					m, _ := at.(map[string]any)
					at = m[part]
				}
				if at == nil {
					t.Errorf("%s leads nowhere", ref)
				}
			}
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(root)
	if refs < 20 {
		t.Errorf("only %d references found", refs)
	}
}

// TestEveryCall makes each documented call without parameters, with each one alone and with all, and gets a documented
// status: that of success where there is one.
func TestEveryCall(t *testing.T) {
	for _, c := range apiCalls(t) {
		t.Run(c.ID, func(t *testing.T) {
			f := newFixture(t)
			streams := strings.Contains(c.path, "live") || strings.HasSuffix(c.path, "/profile") && strings.HasPrefix(c.path, "/pprof")
			sets := [][]string{nil, c.query()}
			for _, name := range c.query() {
				sets = append(sets, []string{name})
			}
			for _, names := range sets {
				if streams {
					go endSoon(f)
				}
				target := c.target(names...)
				w := f.request(c.method, target)
				want := http.StatusOK
				if _, ok := c.Responses["200"]; !ok {
					want = http.StatusNotFound
				}
				if w.Code != want {
					t.Fatalf("%s %s: %d %s", c.method, target, w.Code, w.Body)
				}
				if w.Header().Get("Content-Type") == "" || w.Body.Len() == 0 {
					t.Errorf("%s %s: empty answer", c.method, target)
				}
			}
		})
	}
}

// endSoon ends the next stream as a feed that ends does.
func endSoon(f *fixture) {
	<-f.feed.joined
	f.feed.close()
}

// TestFormats: every documented format is served, and is what it says.
func TestFormats(t *testing.T) {
	f := newFixture(t)
	for _, c := range apiCalls(t) {
		for _, p := range c.Parameters {
			for _, v := range p.Schema.Enum {
				w := f.request(c.method, c.path+"?"+url.Values{p.Name: {v}}.Encode())
				if w.Code != http.StatusOK {
					t.Errorf("%s?%s=%s: %d %s", c.path, p.Name, v, w.Code, w.Body)
				}
			}
		}
	}
}

// TestWrongParameters: each parameter's wrong values get 400 with its name; so does a parameter that does not exist, or one
// that is there twice.
func TestWrongParameters(t *testing.T) {
	wrong := map[string][]string{
		"kind": {"nope", "CPU", "off_cpu\x00"}, "from": {"yesterday", "now-", "now+1h", "-5"}, "to": {"x", "1e99"},
		"label": {"novalue", "=x"}, "format": {"xml", "PPROF"}, "value": {"nope"},
		"max_nodes": {"0", "x", "99999999", "-1", "1.5"}, "buckets": {"0", "2001", "x"},
		"since": {"yesterday", "-5"}, "base_from": {"x", "now+5m"}, "base_to": {"x"}, "normalize": {"yes"}, "seconds": {"0", "601", "x", "-1", "1.5"},
		"gc": {"2", "yes"},
	}
	anything := []string{"service", "name[]"}
	tried := map[string]bool{}
	for _, c := range apiCalls(t) {
		f := newFixture(t)
		if _, ok := c.Responses["200"]; !ok {
			continue
		}
		for _, name := range c.query() {
			values := wrong[name]
			if len(values) == 0 && !slices.Contains(anything, name) {
				t.Errorf("there are no wrong values of %s", name)
			}
			for _, v := range values {
				tried[name] = true
				target := c.target() + url.Values{name: {v}, "base_from": nil}.Encode()
				if strings.HasPrefix(name, "base_") {
					target += "&base_" + map[string]string{"base_from": "to=now", "base_to": "from=now-1h"}[name]
				}
				wantRefusal(t, f, c.method, target, name)
			}
			if name != "label" && name != "name[]" {
				one := examples(parameter(c, name))[0]
				wantRefusal(t, f, c.method, c.target()+url.Values{name: {one, one}}.Encode(), name)
			}
		}
		if c.path != "/" {
			wantRefusal(t, f, c.method, c.target()+"formt=svg", "formt")
			wantRefusal(t, f, c.method, c.target()+url.Values{"<b>\x1b": {"1"}}.Encode(), "<b>␛")
		}
	}
	for name := range maps.Keys(wrong) {
		if !tried[name] {
			t.Errorf("no call has the parameter %s", name)
		}
	}
}

func parameter(c apiCall, name string) apiParameter {
	for _, p := range c.Parameters {
		if p.Name == name {
			return p
		}
	}
	return apiParameter{}
}

func wantRefusal(t *testing.T, f *fixture, method, target, name string) {
	t.Helper()
	w := f.request(method, target)
	var refusal struct{ Error, Parameter string }
	err := json.Unmarshal(w.Body.Bytes(), &refusal)
	if w.Code != http.StatusBadRequest || err != nil || refusal.Parameter != name || !strings.Contains(refusal.Error, name) {
		t.Errorf("%s %s: %d %s; want 400 that names %s", method, target, w.Code, w.Body, name)
	}
}

func TestManyLabels(t *testing.T) {
	f := newFixture(t)
	wantRefusal(t, f, "GET", "/api/v1/profile?label=a%3D1&label=a%3D2", "label")
	wantRefusal(t, f, "GET", "/api/v1/profile?"+strings.Repeat("label=a%3D1&", maxLabels+1), "label")
	if w := f.request("GET", "/api/v1/profile?service="+strings.Repeat("x", maxQuery)); w.Code != http.StatusRequestURITooLong {
		t.Errorf("a long query: %d %s", w.Code, w.Body)
	}
}

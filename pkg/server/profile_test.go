package server

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	pprof "github.com/google/pprof/profile"
)

func decode[T any](t testing.TB, b []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%v in %.300s", err, b)
	}
	return v
}

func TestProfileFormats(t *testing.T) {
	f := newFixture(t)
	p, err := pprof.ParseData(f.get(t, "/api/v1/profile?service=nginx"))
	if err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	for _, s := range p.Sample {
		total += s.Value[0]
		if s.Label["service"][0] != "nginx" {
			t.Errorf("labels %v", s.Label)
		}
	}
	if total != 45 || len(p.Mapping) != 1 || p.SampleType[1].Type != "cpu" {
		t.Errorf("%d samples, want 45; %d mappings, %v", total, len(p.Mapping), p.SampleType)
	}
	folded := string(f.get(t, "/api/v1/profile?service=nginx&format=folded"))
	if want := "nginx;main;idle 5\nnginx;main;serve 10\nnginx;main;serve;read 30\n"; folded != want {
		t.Errorf("folded is\n%s, want\n%s", folded, want)
	}
	svg := f.get(t, "/api/v1/profile?service=nginx&format=svg")
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("SVG: %v", err)
		}
	}
	if !bytes.Contains(svg, []byte("cpu of nginx")) {
		t.Error("the SVG does not say whose it is")
	}
	scope := decode[struct {
		Schema   string `json:"$schema"`
		Profiles []struct{ Weights []int64 }
	}](t, f.get(t, "/api/v1/profile?service=nginx&format=speedscope"))
	if !strings.Contains(scope.Schema, "speedscope") || len(scope.Profiles) != 2 || len(scope.Profiles[0].Weights) != 3 {
		t.Errorf("speedscope: %+v", scope)
	}
	if top := string(f.get(t, "/api/v1/profile?service=nginx&format=txt")); !strings.Contains(top, "serve") {
		t.Errorf("top: %s", top)
	}
	if w := f.request("GET", "/api/v1/profile?service=a%2Fb%22%0d%0aX-Evil:1&format=pprof"); w.Header().Get("Content-Disposition") !=
		`attachment; filename="ebpfprof-cpu-a_b___X-Evil_1-20260304T050607Z.pb.gz"` {
		t.Errorf("file name: %q", w.Header().Get("Content-Disposition"))
	}
}

// TestSelection: kind, service, label, from and to select windows; what is not there is empty and no error.
func TestSelection(t *testing.T) {
	f := newFixture(t)
	for query, want := range map[string]int64{
		"": 65, "service=db": 20, "service=nginx": 45, "service=unknown": 0, "kind=off_cpu": 0,
		"label=namespace%3Dweb": 65, "label=namespace%3Dother": 0, "from=now-90s": 25, "to=now-90s": 40,
		"from=now-2h&to=now-1h": 26, "from=now-2h": 91, "from=1772600647&to=1772600657.5": 40, "value=samples": 65,
	} {
		fl := decode[flame](t, f.get(t, "/api/v1/profile?format=json&"+query))
		if fl.Samples != want {
			t.Errorf("%q: %d samples, want %d", query, fl.Samples, want)
		}
		for _, format := range []string{"pprof", "folded", "svg", "speedscope", "firefox", "txt"} {
			f.get(t, "/api/v1/profile?format="+format+"&"+query)
		}
	}
}

// checkFlame: the tree is one, and every value is in it.
func checkFlame(t *testing.T, fl flame) {
	t.Helper()
	n := fl.Nodes
	children := make([]int64, len(n.Frame))
	for i := range n.Frame {
		if i == 0 {
			if n.Parent[0] != -1 || n.Frame[0] != -1 || n.Total[0] != fl.Total {
				t.Errorf("root: parent %d, frame %d, total %d of %d", n.Parent[0], n.Frame[0], n.Total[0], fl.Total)
			}
			continue
		}
		if n.Parent[i] < 0 || int(n.Parent[i]) >= i {
			t.Fatalf("node %d has the parent %d", i, n.Parent[i])
		}
		if int(n.Frame[i]) >= len(fl.Frames.Name) {
			t.Fatalf("node %d has the frame %d of %d", i, n.Frame[i], len(fl.Frames.Name))
		}
		children[n.Parent[i]] += n.Total[i]
	}
	for i := range n.Frame {
		if n.Self[i]+children[i] != n.Total[i] {
			t.Errorf("node %d: self %d and children %d are not %d", i, n.Self[i], children[i], n.Total[i])
		}
	}
}

// paths returns the total of each path of names.
func (fl flame) paths() map[string][2]float64 {
	out := map[string][2]float64{}
	names := make([]string, len(fl.Nodes.Frame))
	for i := 1; i < len(names); i++ {
		names[i] = names[fl.Nodes.Parent[i]] + ";" + fl.Names[fl.Frames.Name[fl.Nodes.Frame[i]]]
		base := 0.0
		if fl.Base != nil {
			base = fl.Nodes.BaseTotal[i]
		}
		out[names[i]] = [2]float64{float64(fl.Nodes.Total[i]), base}
	}
	return out
}

func TestFlame(t *testing.T) {
	f := newFixture(t)
	fl := decode[flame](t, f.get(t, "/api/v1/profile?format=json&service=nginx"))
	checkFlame(t, fl)
	const ms10 = 10_000_000
	for path, want := range map[string]float64{
		";nginx": 45, ";nginx;main": 45, ";nginx;main;serve": 40, ";nginx;main;serve;read": 30, ";nginx;main;idle": 5,
	} {
		if got := fl.paths()[path][0]; got != want*ms10 {
			t.Errorf("%s: %g, want %g", path, got, want*ms10)
		}
	}
	if fl.Covered.Windows != 2 || fl.Covered.Seconds != 20 || fl.Unit != "nanoseconds" || fl.Type != "cpu" || fl.Folded.Count != 0 {
		t.Errorf("head: %+v", fl)
	}
	if frame := fl.Nodes.Frame[1]; fl.Frames.Kind[frame] != "process" {
		t.Errorf("the first frame is of kind %s", fl.Frames.Kind[frame])
	}
}

// TestFolding: a tree beyond the limit says how much of it is folded, and loses nothing.
func TestFolding(t *testing.T) {
	f := newFixture(t)
	var samples []stackCount
	for i := range 500 {
		samples = append(samples, stackCount{"big", []string{"main", fmt.Sprintf("f%d", i%50), fmt.Sprintf("g%d", i)}, int64(i + 1)})
	}
	f.history.windows = []fakeWindow{window("big", now.Add(-time.Minute), 10*time.Second, samples...)}
	whole := decode[flame](t, f.get(t, "/api/v1/profile?format=json"))
	for _, limit := range []int{1, 2, 10, 100, 551, 552, 1000} {
		fl := decode[flame](t, f.get(t, fmt.Sprintf("/api/v1/profile?format=json&max_nodes=%d", limit)))
		checkFlame(t, fl)
		if fl.Total != whole.Total {
			t.Errorf("limit %d: total %d, want %d", limit, fl.Total, whole.Total)
		}
		others, stand, value := 0, 0, int64(0)
		for i, frame := range fl.Nodes.Frame {
			if frame >= 0 && fl.Names[fl.Frames.Name[frame]] == otherName && fl.Frames.Kind[frame] == "other" {
				others++
				value += fl.Nodes.Total[i]
			}
		}
		for _, n := range fl.Folded.Nodes {
			stand += n[1]
		}
		named := len(fl.Nodes.Frame) - 1 - others
		if named > limit || named+fl.Folded.Count != len(whole.Nodes.Frame)-1 || stand != fl.Folded.Count || value != fl.Folded.Value || others != len(fl.Folded.Nodes) {
			t.Errorf("limit %d: %d named, %d others; folded %d (%d), value %d (%d)", limit, named, others, fl.Folded.Count, stand, fl.Folded.Value, value)
		}
	}
}

func TestDiff(t *testing.T) {
	f := newFixture(t)
	// Base: 26 samples in 20 s. Now: 45 samples of nginx in 20 s, 65 of all; db is new, old is gone.
	const spans = "from=now-5m&base_from=now-2h&base_to=now-1h"
	fl := decode[flame](t, f.get(t, "/api/v1/diff?"+spans+"&service=nginx"))
	checkFlame(t, fl)
	const ms10 = 10_000_000
	for path, want := range map[string][2]float64{
		";nginx": {45, 26}, ";nginx;main;serve": {40, 20}, ";nginx;main;idle": {5, 0}, ";nginx;main;old": {0, 6},
	} {
		if got := fl.paths()[path]; got != [2]float64{want[0] * ms10, want[1] * ms10} {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	if fl.Base.Scale != 1 || fl.Base.Samples != 26 || fl.Base.Covered.Windows != 1 {
		t.Errorf("base: %+v", fl.Base)
	}
	for query, scale := range map[string]float64{
		"normalize=total": 65.0 / 26, "normalize=none": 1, "normalize=time": 1.5, "normalize=total&service=nginx": 45.0 / 26,
		"service=unknown": 1, "service=unknown&normalize=total": 1,
	} {
		fl := decode[flame](t, f.get(t, "/api/v1/diff?"+spans+"&"+query))
		checkFlame(t, fl)
		if math.Abs(fl.Base.Scale-scale) > 1e-9 {
			t.Errorf("%s: scale %g, want %g", query, fl.Base.Scale, scale)
		}
		if want := scaled(fl.Base.Total, scale); math.Abs(fl.Nodes.BaseTotal[0]-want) > 0.01 {
			t.Errorf("%s: base total %g, want %g", query, fl.Nodes.BaseTotal[0], want)
		}
	}
	folded := string(f.get(t, "/api/v1/diff?"+spans+"&service=nginx&format=folded&normalize=total"))
	want := "nginx;main;idle 0 5\nnginx;main;old 10 0\nnginx;main;serve 0 10\nnginx;main;serve;read 35 30\n"
	if folded != want {
		t.Errorf("folded:\n%s, want\n%s", folded, want)
	}
	p, err := pprof.ParseData(f.get(t, "/api/v1/diff?"+spans+"&service=nginx&format=pprof"))
	if err != nil {
		t.Fatal(err)
	}
	sum, least := int64(0), int64(0)
	for _, s := range p.Sample {
		sum += s.Value[0]
		least = min(least, s.Value[0])
	}
	if sum != 45-26 || least != -6 {
		t.Errorf("pprof: sum %d, least %d; want 19, -6", sum, least)
	}
	svg := f.request("GET", "/api/v1/diff?"+spans+"&service=nginx&format=svg")
	if policy := svg.Header().Get("Content-Security-Policy"); policy != policyDrawing || svg.Header().Get("Content-Type") != "image/svg+xml" ||
		!strings.Contains(svg.Body.String(), `class="d0 gone"`) || !strings.Contains(svg.Body.String(), "260 ms before, 450 ms now") {
		t.Errorf("svg: policy %q, %.300s", policy, svg.Body)
	}
	for _, empty := range []string{"from=now-30d&to=now-29d&base_to=now", "base_from=now-30d&base_to=now-29d", "from=now-30d&to=now-29d"} {
		for _, format := range []string{"json", "folded", "pprof", "svg"} {
			f.get(t, "/api/v1/diff?"+empty+"&format="+format)
		}
	}
}

// TestBusy: when all turns are taken, a query waits, then is told to come again; turns come back.
func TestBusy(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Limits = Limits{Queries: 1, QueryWait: time.Millisecond} })
	f.history.block = make(chan struct{})
	done := make(chan int)
	go func() { done <- f.request("GET", "/api/v1/profile").Code }()
	for len(f.queries) == 0 {
		time.Sleep(time.Millisecond)
	}
	w := f.request("GET", "/api/v1/diff")
	if w.Code != 503 || w.Header().Get("Retry-After") == "" || !json.Valid(w.Body.Bytes()) {
		t.Errorf("second query: %d %s", w.Code, w.Body)
	}
	if w := f.request("GET", "/api/v1/status"); w.Code != 200 {
		t.Errorf("status while queries run: %d", w.Code)
	}
	close(f.history.block)
	if code := <-done; code != 200 {
		t.Errorf("first query: %d", code)
	}
	if w := f.request("GET", "/api/v1/profile"); w.Code != 200 {
		t.Errorf("third query: %d", w.Code)
	}
}

// TestHistoryFails: the client learns that something failed, not what paths there are.
func TestHistoryFails(t *testing.T) {
	f := newFixture(t)
	f.history.err = errors.New("open /secret/path: permission denied")
	for _, path := range []string{"/api/v1/profile", "/api/v1/profile?format=svg", "/api/v1/diff", "/api/v1/services", "/api/v1/timeline"} {
		w := f.request("GET", path, "Accept-Encoding", "gzip")
		if w.Code != 500 || strings.Contains(w.Body.String(), "secret") || !json.Valid(w.Body.Bytes()) || w.Header().Get("Content-Encoding") != "" {
			t.Errorf("%s: %d %v %s", path, w.Code, w.Header(), w.Body)
		}
	}
}

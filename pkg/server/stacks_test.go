package server

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A stacksAnswer is what the tests read of format=stacks.
type stacksAnswer struct {
	Kind, Service string
	Types         []struct{ Type, Unit string }
	From, To      int64
	Covered       struct {
		Seconds float64
		Windows int
		Lost    int
	}
	Comments []string
	Strings  []string
	Nodes    struct{ Parent, Frame []int }
	Labels   []struct{ Key, Value string }
	Sets     [][]int `json:"labelsets"`
	Samples  struct {
		Node, Label []int
		Values      [][]int64
	}
	Folded struct{ Nodes int }
}

// sums returns the value of each type by the label with this key, "" for samples without.
func (a stacksAnswer) sums(key string) []map[string]int64 {
	out := make([]map[string]int64, len(a.Types))
	for t := range out {
		out[t] = map[string]int64{}
		for i, v := range a.Samples.Values[t] {
			value := ""
			if set := a.Samples.Label[i]; set >= 0 {
				for _, l := range a.Sets[set] {
					if a.Labels[l].Key == key {
						value = a.Labels[l].Value
					}
				}
			}
			out[t][value] += v
		}
	}
	return out
}

func TestStacks(t *testing.T) {
	f := newFixture(t)
	a := decode[stacksAnswer](t, f.get(t, "/api/v1/profile?format=stacks&service=nginx&from=now-5m"))
	if a.Kind != "cpu" || a.Service != "nginx" || a.To != now.UnixMilli() || a.From != now.Add(-5*time.Minute).UnixMilli() ||
		a.Covered.Seconds != 20 || a.Covered.Windows != 2 || len(a.Types) != 2 || a.Types[1].Type != "cpu" {
		t.Errorf("head: %+v", a)
	}
	if got := fmt.Sprint(a.sums("x")); got != "[map[:45] map[:450000000]]" {
		t.Errorf("sums %s", got)
	}
	if small := decode[stacksAnswer](t, f.get(t, "/api/v1/profile?format=stacks&max_nodes=1")); small.Folded.Nodes == 0 || fmt.Sprint(small.sums("x")) != "[map[:65] map[:650000000]]" {
		t.Errorf("with one node: %+v", small)
	}
	if none := decode[stacksAnswer](t, f.get(t, "/api/v1/profile?format=stacks&service=unknown")); len(none.Nodes.Parent) != 1 || len(none.Samples.Node) != 0 {
		t.Errorf("of nothing: %+v", none)
	}
}

// TestPageAsFile: format=html is the page with the same document in it.
func TestPageAsFile(t *testing.T) {
	f := newFixture(t)
	w := f.request("GET", "/api/v1/profile?format=html&service=nginx&from=now-5m")
	m := regexp.MustCompile(`id="ebpfprof-data">([A-Za-z0-9+/=]+)</script>`).FindStringSubmatch(w.Body.String())
	if w.Code != 200 || m == nil || !strings.Contains(w.Header().Get("Content-Disposition"), `.html"`) {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	z, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(m[1])))
	if err != nil {
		t.Fatal(err)
	}
	file := decode[struct{ Documents []stacksAnswer }](t, []byte(readAll(t, z)))
	if len(file.Documents) != 1 || fmt.Sprint(file.Documents[0].sums("x")) != "[map[:45] map[:450000000]]" {
		t.Errorf("documents: %+v", file)
	}
	if bytes.Contains(w.Body.Bytes(), []byte("unsafe")) {
		t.Error("the file's policy allows something unsafe")
	}
}

// withOffCPU adds a history of off-CPU time: 10 s of one window, where CPU time has 20 s of two.
func withOffCPU(f *fixture) {
	w := window("nginx", now.Add(-2*time.Minute), 10*time.Second, stackCount{"nginx", []string{"main", "serve", "wait"}, 7})
	w.Kind = "off_cpu"
	for _, t := range []*string{&w.Profile.SampleType[1].Type, &w.Profile.DefaultSampleType, &w.Profile.PeriodType.Type} {
		*t = "off_cpu"
	}
	for _, s := range w.Profile.Sample {
		s.Label = maps.Clone(s.Label)
		s.Label["state"] = []string{"interruptible"}
	}
	f.history.windows = append(f.history.windows, w)
}

// TestWall: where on-CPU and off-CPU time are both known, wall is both, told apart by a label.
func TestWall(t *testing.T) {
	f := newFixture(t, func(o *Options) {
		o.Status = func() Status {
			s := testStatus()
			s.Kinds[1] = KindStatus{Name: "off_cpu", Unit: "nanoseconds", Active: true}
			return s
		}
	})
	withOffCPU(f)
	kinds := string(f.get(t, "/api/v1/kinds"))
	if !strings.Contains(kinds, `{"name":"wall","unit":"nanoseconds","active":false,"made_of":["cpu","off_cpu"],"merge":"sum","live":false}`) {
		t.Errorf("kinds: %s", kinds)
	}
	a := decode[stacksAnswer](t, f.get(t, "/api/v1/profile?format=stacks&kind=wall&service=nginx"))
	if got := fmt.Sprint(a.sums("wall")); got != "[map[off-cpu:7 on-cpu:45] map[off-cpu:70000000 on-cpu:450000000]]" || a.Types[1].Type != "wall" {
		t.Errorf("sums %s of %v", got, a.Types)
	}
	if got := fmt.Sprint(a.sums("state")[0]); got != "map[:45 interruptible:7]" {
		t.Errorf("the other labels are gone: %s", got)
	}
	if a.Covered.Seconds != 10 || a.Covered.Windows != 3 || !strings.Contains(fmt.Sprint(a.Comments), "CPU time is known of 20s, off-CPU time of 10s") {
		t.Errorf("covered %+v, comments %q", a.Covered, a.Comments)
	}
	services := string(f.get(t, "/api/v1/services?kind=wall"))
	if strings.Count(services, `"name":"nginx"`) != 1 || !strings.Contains(services, `"name":"db"`) {
		t.Errorf("services: %s", services)
	}
	line := decode[struct{ Values []*int64 }](t, f.get(t, "/api/v1/timeline?kind=wall&from=now-5m&buckets=5"))
	if v := line.Values[3]; v == nil || *v != 470_000_000 {
		t.Errorf("timeline: %v", v)
	}
	if line.Values[4] != nil {
		t.Error("a minute without off-CPU time counts as covered")
	}
	for _, format := range []string{"pprof", "svg", "folded", "txt", "json"} {
		f.get(t, "/api/v1/profile?kind=wall&format="+format)
	}
	wantRefusal(t, f, "GET", "/api/v1/live?kind=wall", "kind")
}

// TestNoWall: where off-CPU time cannot be had, there is no wall, rather than one that is CPU time alone.
func TestNoWall(t *testing.T) {
	f := newFixture(t)
	if strings.Contains(string(f.get(t, "/api/v1/kinds")), "wall") {
		t.Error("wall is offered")
	}
	wantRefusal(t, f, "GET", "/api/v1/profile?kind=wall", "kind")
}

package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

// counts returns a profile of stacks, root first and with semicolons, and their samples of 10 ms.
func counts(stacks map[string]int64) *profile.Profile {
	b := prof.NewBuilder(prof.BuilderOptions{
		SampleTypes: []prof.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
		PeriodType:  prof.ValueType{Type: "cpu", Unit: "nanoseconds"}, Period: 10_000_000, Duration: 10 * time.Second,
	})
	for stack, n := range stacks {
		var locations []*profile.Location
		for _, name := range strings.Split(stack, ";") {
			locations = append([]*profile.Location{b.Location(prof.Mapping{}, 0, []prof.Frame{{Name: name}})}, locations...)
		}
		b.Sample(locations, prof.Labels{Comm: "app"}, n, n*10_000_000)
	}
	return b.Profile()
}

// twoProfiles returns a base and what became of it: work grew, idle shrank, old went, fresh came.
func twoProfiles() (before, now *profile.Profile) {
	return counts(map[string]int64{"main;work": 100, "main;idle": 50, "main;old;deep": 10, "main": 5, "main;" + hostile: 3}),
		counts(map[string]int64{"main;work": 150, "main;idle": 20, "main;fresh": 30, "main": 5, "main;" + hostile: 3})
}

func difference(t testing.TB, scale float64) *Difference {
	t.Helper()
	before, now := twoProfiles()
	d, err := NewDifference(before, now, "", scale)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func write(t testing.TB, d *Difference, format string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := d.Write(&b, format, Options{Page: bare}); err != nil {
		t.Fatalf("%s: %v", format, err)
	}
	return b.Bytes()
}

// TestDifferenceGolden keeps the table and the drawing as they are: go test ./pkg/render -update.
func TestDifferenceGolden(t *testing.T) {
	for _, format := range []string{"txt", "svg", "json", "folded"} {
		got := write(t, difference(t, 1), format)
		path := filepath.Join("testdata", "golden", "difference."+format)
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs; got:\n%s", path, cut(string(got), 3000))
		}
	}
}

func TestDifferenceSums(t *testing.T) {
	is := func(want string) func(string) bool { return func(name string) bool { return name == want } }
	for _, c := range []struct {
		match       func(string) bool
		self        bool
		scale       float64
		before, now int64
	}{
		{nil, false, 1, 168, 208}, {nil, false, 0.5, 84, 208}, {is("main"), false, 1, 168, 208}, {is("main"), true, 1, 5, 5},
		{is("work"), false, 2, 200, 150}, {is("old"), false, 1, 10, 0}, {is("old"), true, 1, 0, 0}, {is("fresh"), true, 1, 0, 30}, {is("none"), false, 1, 0, 0},
	} {
		before, now := difference(t, c.scale).Sums(c.match, c.self)
		if before != c.before*10_000_000 || now != c.now*10_000_000 {
			t.Errorf("%+v: %d before, %d now", c, before, now)
		}
	}
}

// TestDifferenceTree: children lie within their parents, what is gone has a place, and all that both profiles have is there.
func TestDifferenceTree(t *testing.T) {
	tree, sides := difference(t, 1).tree()
	paths := map[string]changed{}
	names := make([]string, len(tree.Nodes))
	for i, n := range tree.Nodes {
		sum := n.Self
		for c := n.FirstChild; c != 0; c = tree.Nodes[c].NextSibling {
			sum += tree.Nodes[c].Total
		}
		if sum != n.Total || n.Total < max(sides[i].before, sides[i].now) {
			t.Errorf("node %d: %d of children and self, total %d, sides %+v", i, sum, n.Total, sides[i])
		}
		if i > 0 {
			names[i] = names[n.Parent] + ";" + tree.Funcs[n.Func].Name
		}
		paths[names[i]] = sides[i]
	}
	const ms10 = 10_000_000
	for path, want := range map[string]changed{
		"": {168, 208, 0, 0}, ";app;main": {168, 208, 5, 5}, ";app;main;old;deep": {10, 0, 10, 0}, ";app;main;fresh": {0, 30, 0, 30},
	} {
		want = changed{want.before * ms10, want.now * ms10, want.beforeSelf * ms10, want.nowSelf * ms10}
		if paths[path] != want {
			t.Errorf("%s: %+v, want %+v", path, paths[path], want)
		}
	}
}

func TestChangeLevel(t *testing.T) {
	for c, want := range map[changed]int{
		{}: 4, {before: 5, now: 5}: 4, {before: 5}: 0, {now: 5}: 8, {before: 100, now: 50}: 2, {before: 50, now: 100}: 6, {before: 100, now: 99}: 4,
		{before: 1 << 62, now: -1 << 62}: 0,
	} {
		if got := c.level(); max(0, got) != want {
			t.Errorf("%+v: %d, want %d", c, got, want)
		}
	}
}

// TestDifferenceFormats: every format is well-formed and tells the same.
func TestDifferenceFormats(t *testing.T) {
	d := difference(t, 1)
	svg := write(t, d, "svg")
	if n := elements(t, svg); n["script"] != 2 || n["svg"] != 1 {
		t.Errorf("elements of the drawing: %v", n)
	}
	for _, want := range []string{`class="d0 gone"`, `class="d8"`, "more: +800 ms", "less: -400 ms", "1.68 s before, 2.08 s now: +400 ms, +23.8%"} {
		if !strings.Contains(string(svg), want) {
			t.Errorf("the drawing lacks %s", want)
		}
	}
	p, err := profile.ParseData(write(t, d, "pprof"))
	if err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	for _, s := range p.Sample {
		sum += s.Value[0]
	}
	if sum != 40 || len(d.Before.Sample) != 5 || prof.Summarize(d.Before, 1).Total != 1_680_000_000 {
		t.Errorf("pprof has %d, want 40; or the base was changed", sum)
	}
	var documents struct{ Documents []stacksDocument }
	if err := json.Unmarshal(write(t, d, "html"), &documents); err != nil || len(documents.Documents) != 2 {
		t.Errorf("html: %d documents, %v", len(documents.Documents), err)
	}
	folded := string(write(t, d, "folded"))
	for _, want := range []string{"app;main 5 5\n", "app;main;old;deep 10 0\n", "app;main;fresh 0 30\n", "app;main;work 100 150\n"} {
		if !strings.Contains(folded, want) {
			t.Errorf("folded lacks %q", want)
		}
	}
	if err := d.Write(&bytes.Buffer{}, "nope", Options{}); err == nil {
		t.Error("an unknown format is written")
	}
}

func TestDifferenceErrors(t *testing.T) {
	before, now := twoProfiles()
	if _, err := NewDifference(before, now, "nope", 1); err == nil {
		t.Error("an unknown type is compared")
	}
	if _, err := NewDifference(manyStacks(), now, "", 1); err == nil {
		t.Error("time is compared with memory")
	}
	before.SampleType[1].Unit = "microseconds"
	if _, err := NewDifference(before, now, "", 1); err == nil || !strings.Contains(err.Error(), "microseconds") {
		t.Errorf("different units: %v", err)
	}
	empty := counts(nil)
	for _, pair := range [][2]*profile.Profile{{empty, now}, {now, empty}, {empty, empty}} {
		d, err := NewDifference(pair[0], pair[1], "", 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, format := range DifferenceFormats() {
			write(t, d, format)
		}
	}
	if out := fmt.Sprint(change(0, 0), change(0, 1), change(1, 0), change(100, 150), change(100, 50)); out != "0%newgone+50.0%-50.0%" && out != "0% new gone +50.0% -50.0%" {
		t.Errorf("changes are written %s", out)
	}
}

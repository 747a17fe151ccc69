package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/pprof/profile"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

// A stacksDocument is what a reader sees.
type stacksDocument struct {
	Version       int
	Kind, Service string
	Types         []struct{ Type, Unit string }
	Default       int
	From, To      int64
	Covered       map[string]float64
	Comments      []string
	Strings       []string
	Frames        struct{ Name, Module, File, Line, Kind, Inlined []int }
	Kinds         []string
	Nodes         struct{ Parent, Frame []int }
	Threads       struct{ Service, Comm, Container, PID, TID []int }
	Labels        []struct{ Key, Value string }
	LabelSets     [][]int
	Samples       struct {
		Node, Thread, Label, Stack []int
		Values                     [][]int64
	}
	Times *struct {
		BucketMillis   int64 `json:"bucket_ms"`
		Base           int64
		Sample, Bucket []int
		Value          []int64
	}
	Folded struct {
		Nodes int
		Value int64
	}
}

func stacksOf(t testing.TB, p *profile.Profile, o StacksOptions) (d stacksDocument) {
	t.Helper()
	var b bytes.Buffer
	if err := Stacks(&b, p, o); err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(b.Bytes()))
	decoder.DisallowUnknownFields()
	var all struct {
		stacksDocument
		Title, Period, PeriodType any
		Duration                  int64 `json:"duration_ns"`
		PeriodTypeOf              any   `json:"period_type"`
	}
	if err := decoder.Decode(&all); err != nil {
		t.Fatalf("%v in %.500s", err, b.Bytes())
	}
	if err := all.check(); err != nil {
		t.Fatal(err)
	}
	return all.stacksDocument
}

// check says what a reader may rely on: columns of equal length, numbers that lead somewhere, parents before children.
func (d stacksDocument) check() error {
	for i, f := range d.Frames.Name {
		if max(f, d.Frames.Module[i], d.Frames.File[i]) >= len(d.Strings) || d.Frames.Kind[i] >= len(d.Kinds) || d.Frames.Inlined[i]&^1 != 0 {
			return fmt.Errorf("frame %d leads nowhere", i)
		}
	}
	if d.Strings[0] != "" || d.Nodes.Parent[0] != -1 || d.Nodes.Frame[0] != -1 || len(d.Nodes.Frame) != len(d.Nodes.Parent) {
		return fmt.Errorf("root: %q, %d, %d", d.Strings[0], d.Nodes.Parent[0], d.Nodes.Frame[0])
	}
	for i, parent := range d.Nodes.Parent[1:] {
		if parent < 0 || parent > i || d.Nodes.Frame[i+1] >= len(d.Frames.Name) {
			return fmt.Errorf("node %d: parent %d, frame %d", i+1, parent, d.Nodes.Frame[i+1])
		}
	}
	if len(d.Samples.Values) != len(d.Types) || d.Default >= len(d.Types) {
		return fmt.Errorf("%d columns of values of %d types, default %d", len(d.Samples.Values), len(d.Types), d.Default)
	}
	for i, node := range d.Samples.Node {
		if node >= len(d.Nodes.Parent) || d.Samples.Thread[i] >= len(d.Threads.TID) || d.Samples.Label[i] >= len(d.LabelSets) ||
			d.Samples.Stack[i] >= len(d.Strings) {
			return fmt.Errorf("sample %d leads nowhere", i)
		}
		for _, values := range d.Samples.Values {
			_ = values[i]
		}
	}
	for _, s := range d.Strings {
		if len(s) > stacksName || !utf8.ValidString(s) || strings.ContainsAny(s, "\x00\x1b\n\u202e") {
			return fmt.Errorf("string %.100q", s)
		}
	}
	return nil
}

// sums returns what each stack, thread, label set and reason has, as text.
func (d stacksDocument) sums() map[string][]int64 {
	paths, out := make([]string, len(d.Nodes.Parent)), map[string][]int64{}
	for i := 1; i < len(paths); i++ {
		f := d.Nodes.Frame[i]
		paths[i] = fmt.Sprintf("%s;%s|%s|%s:%d|%s|%d", paths[d.Nodes.Parent[i]], d.Strings[d.Frames.Name[f]], d.Strings[d.Frames.Module[f]],
			d.Strings[d.Frames.File[f]], d.Frames.Line[f], d.Kinds[d.Frames.Kind[f]], d.Frames.Inlined[f])
	}
	for i, node := range d.Samples.Node {
		th, labels := d.Samples.Thread[i], map[string]string{}
		if set := d.Samples.Label[i]; set >= 0 {
			for _, l := range d.LabelSets[set] {
				labels[d.Labels[l].Key] += d.Labels[l].Value
			}
		}
		key := fmt.Sprint(paths[node], " ", d.Strings[d.Threads.Service[th]], d.Strings[d.Threads.Comm[th]], d.Strings[d.Threads.Container[th]],
			d.Threads.PID[th], d.Threads.TID[th], labels, d.Strings[d.Samples.Stack[i]])
		for t, values := range d.Samples.Values {
			if out[key] == nil {
				out[key] = make([]int64, len(d.Types))
			}
			out[key][t] += values[i]
		}
	}
	return out
}

// wantSums is the same from the profile.
func wantSums(p *profile.Profile) map[string][]int64 {
	out := map[string][]int64{}
	text := func(s string) string { return clean(cut(s, stacksName)) }
	label := func(s *profile.Sample, key string) string { return text(strings.Join(s.Label[key], "")) }
	for _, s := range p.Sample {
		path := ""
		for i := len(s.Location) - 1; i >= 0; i-- {
			l := s.Location[i]
			for j := max(len(l.Line), 1) - 1; j >= 0; j-- {
				file, line, inlined := "", int64(0), 0
				if j < len(l.Line) {
					file, line = l.Line[j].Function.Filename, l.Line[j].Line
				}
				if j < len(l.Line)-1 {
					inlined = 1
				}
				path += fmt.Sprintf(";%s|%s|%s:%d|%s|%d", text(prof.Name(l, j)), text(prof.Module(l)), text(file), line, prof.KindOf(l, j), inlined)
			}
		}
		labels := map[string]string{}
		for key := range s.Label {
			if key != "comm" && key != "service" && key != "container" && key != "stack" {
				labels[key] = label(s, key)
			}
		}
		pid, tid := number(s, prof.LabelPID), number(s, prof.LabelTID)
		for key, v := range s.NumLabel {
			if key != "pid" && key != "tid" {
				labels[key] = strings.TrimSpace(fmt.Sprint(v[0], " ", strings.Join(s.NumUnit[key], "")))
			}
		}
		key := fmt.Sprint(path, " ", label(s, "service"), label(s, "comm"), label(s, "container"), pid, tid, labels, label(s, "stack"))
		if out[key] == nil {
			out[key] = make([]int64, len(p.SampleType))
		}
		for t, v := range s.Value {
			out[key][t] += v
		}
	}
	return out
}

func sameSums(t *testing.T, got, want map[string][]int64) {
	t.Helper()
	if !maps.EqualFunc(got, want, func(a, b []int64) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
		t.Errorf("sums are\n%v\nwant\n%v", got, want)
	}
}

// TestStacksAreTheProfile: what a reader puts together of the document is what the profile has.
func TestStacksAreTheProfile(t *testing.T) {
	p := sample()
	p.Sample[1].Label = maps.Clone(p.Sample[1].Label)
	p.Sample[1].Label["state"] = []string{"uninterruptible"}
	p.Sample[2].NumLabel = maps.Clone(p.Sample[2].NumLabel)
	p.Sample[2].NumLabel["bytes"], p.Sample[2].NumUnit = []int64{4096}, map[string][]string{"bytes": {"bytes"}}
	d := stacksOf(t, p, StacksOptions{})
	sameSums(t, d.sums(), wantSums(p))
	if d.Kind != "cpu" || d.Default != 1 || d.To-d.From != 10_000 || d.Covered["lost"] != 3 || d.Covered["seconds"] != 10 ||
		fmt.Sprint(d.Comments) != "[host: example]" || d.Folded.Nodes != 0 || d.Times != nil {
		t.Errorf("head: %+v", d)
	}
	if _, known := d.Covered["windows"]; known {
		t.Error("the document says how many windows a file was made of")
	}
	d = stacksOf(t, p, StacksOptions{Value: "samples", Kind: "k", Service: "s", Covered: &Coverage{Seconds: 5, Lost: 7}, From: time.Unix(1, 0), To: time.Unix(2, 0)})
	if d.Default != 0 || d.Kind != "k" || d.Service != "s" || d.From != 1000 || d.To != 2000 ||
		fmt.Sprint(d.Covered) != "map[lost:7 seconds:5 skipped:0 windows:0]" {
		t.Errorf("head with options: %+v", d)
	}
	if err := Stacks(&bytes.Buffer{}, p, StacksOptions{Value: "nope"}); err == nil {
		t.Error("an unknown type is taken")
	}
}

// TestStacksMergeAddresses: samples that differ in addresses only become one.
func TestStacksMergeAddresses(t *testing.T) {
	b := prof.NewBuilder(prof.BuilderOptions{SampleTypes: []prof.ValueType{{Type: "cpu", Unit: "nanoseconds"}}})
	m := prof.Mapping{Start: 0x1000, Limit: 0x9000, File: "/bin/a"}
	for i := range 10 {
		b.Sample([]*profile.Location{b.Location(m, 0x1000+uint64(i), []prof.Frame{{Name: "f"}})}, prof.Labels{Comm: "a"}, 5)
	}
	d := stacksOf(t, b.Profile(), StacksOptions{})
	if len(d.Samples.Node) != 1 || d.Samples.Values[0][0] != 50 || len(d.Frames.Name) != 1 {
		t.Errorf("%d samples, %v", len(d.Samples.Node), d.Samples.Values)
	}
}

// manyStacks returns a profile with many stacks of many weights and two types, one of which few stacks have.
func manyStacks() *profile.Profile {
	b := prof.NewBuilder(prof.BuilderOptions{SampleTypes: []prof.ValueType{{Type: "alloc_space", Unit: "bytes"}, {Type: "inuse_space", Unit: "bytes"}}})
	at := func(name string) *profile.Location { return b.Location(prof.Mapping{}, 0, []prof.Frame{{Name: name}}) }
	for i := range 300 {
		inuse := int64(0)
		if i == 7 {
			inuse = 1
		}
		b.Sample([]*profile.Location{at(fmt.Sprint("leaf", i)), at(fmt.Sprint("mid", i%20)), at("main")},
			prof.Labels{Comm: "t", TID: int64(i%3 + 1)}, int64(i+1), inuse)
	}
	return b.Profile()
}

// TestStacksFold: beyond the limit nodes are folded, nothing is lost, and the document says how much it was.
func TestStacksFold(t *testing.T) {
	p := manyStacks()
	whole := stacksOf(t, p, StacksOptions{})
	for _, limit := range []int{1, 2, 30, 200, 320, 321, 1000} {
		d := stacksOf(t, p, StacksOptions{Nodes: limit})
		others, value := 0, int64(0)
		isOther := make([]bool, len(d.Nodes.Frame))
		for i, f := range d.Nodes.Frame {
			if f >= 0 && d.Kinds[d.Frames.Kind[f]] == "other" {
				isOther[i] = true
				others++
			}
		}
		sums := make([]int64, 2)
		for i, node := range d.Samples.Node {
			sums[0] += d.Samples.Values[0][i]
			sums[1] += d.Samples.Values[1][i]
			if isOther[node] {
				value += d.Samples.Values[1][i]
			}
		}
		named := len(d.Nodes.Frame) - 1 - others
		if sums[0] != 300*301/2 || sums[1] != 1 || named > limit || named+d.Folded.Nodes != len(whole.Nodes.Frame)-1 || value != d.Folded.Value {
			t.Errorf("limit %d: sums %v, %d named, %d others, folded %+v of value %d", limit, sums, named, others, d.Folded, value)
		}
		if limit >= 30 && d.Folded.Value != 0 { // the one stack of the default type is heavy by its own measure
			t.Errorf("limit %d: all of the default type is folded", limit)
		}
	}
}

// TestStacksTimes: every time leads to the sample that it is of, also when that was folded.
func TestStacksTimes(t *testing.T) {
	p := manyStacks()
	base := time.UnixMilli(1_700_000_000_000)
	times := &prof.Times{Base: base, Bucket: 20 * time.Millisecond, Of: map[*profile.Sample][]prof.TimeCount{}, Left: 2}
	for i, s := range p.Sample {
		times.Of[s] = []prof.TimeCount{{Bucket: int32(300 - i), Value: s.Value[0] - 1}, {Bucket: 5, Value: 1}}
	}
	for _, limit := range []int{0, 25} {
		d := stacksOf(t, p, StacksOptions{Value: "alloc_space", Times: times, Nodes: limit})
		if d.Times == nil || d.Times.BucketMillis != 20 || d.Times.Base != base.UnixMilli() {
			t.Fatalf("times: %+v", d.Times)
		}
		of := make([]int64, len(d.Samples.Node))
		for i, s := range d.Times.Sample {
			of[s] += d.Times.Value[i]
			if i > 0 && d.Times.Bucket[i] < d.Times.Bucket[i-1] {
				t.Fatal("times are not in their order")
			}
		}
		if fmt.Sprint(of) != fmt.Sprint(d.Samples.Values[0]) {
			t.Errorf("limit %d: sums of times %v, of samples %v", limit, of, d.Samples.Values[0])
		}
		if !strings.Contains(fmt.Sprint(d.Comments), "2 events have no time") {
			t.Errorf("comments %q", d.Comments)
		}
	}
}

// FuzzStacks: whatever names, labels and values are, the document is one that a reader can rely on, without markup.
func FuzzStacks(f *testing.F) {
	f.Add(hostile, "</script>", "state", int64(5), 3)
	f.Add(strings.Repeat("long<", 13107), "\u2028", "stack", int64(-1), 1)
	f.Add("", "", "", int64(1)<<62, 0)
	f.Fuzz(func(t *testing.T, name, other, key string, value int64, limit int) {
		b := prof.NewBuilder(prof.BuilderOptions{SampleTypes: []prof.ValueType{{Type: name, Unit: other}}, Comments: []string{name}})
		at := func(name string) *profile.Location {
			return b.Location(prof.Mapping{File: other}, 0, []prof.Frame{{Name: name, File: other, Line: value}})
		}
		labels := prof.Labels{Comm: name, Service: other, TID: value, Stack: other}
		b.Sample([]*profile.Location{at(name), at(other), b.Marker(name)}, labels, value)
		b.Sample([]*profile.Location{at("x" + name), at(other)}, labels, value)
		b.Sample(nil, prof.Labels{}, 1)
		p := b.Profile()
		for _, s := range p.Sample {
			s.Label = map[string][]string{key: {name, other}}
		}
		var out bytes.Buffer
		if err := Stacks(&out, p, StacksOptions{Title: name, Service: other, Nodes: max(limit, 0)}); err != nil {
			t.Fatal(err)
		}
		var d stacksDocument
		if err := json.Unmarshal(out.Bytes(), &d); err != nil {
			t.Fatalf("%v in %.500s", err, out.Bytes())
		}
		if err := d.check(); err != nil {
			t.Fatal(err)
		}
		if bytes.ContainsAny(out.Bytes(), "<>&\x00\x1b\u2028") || out.Len() > 32<<10 {
			t.Errorf("%d bytes: %.300q", out.Len(), out.Bytes())
		}
	})
}

package profile

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// recursive has main calling f, which calls itself, and g inlined into f.
func recursive() *profile.Profile {
	b := newTestBuilder()
	main := b.Location(exe, 1, []Frame{{Name: "main"}})
	f := b.Location(exe, 2, []Frame{{Name: "f"}})
	gf := b.Location(exe, 3, []Frame{{Name: "g"}, {Name: "f"}})
	b.Sample([]*profile.Location{f, f, main}, Labels{Comm: "x"}, 1, 10)
	b.Sample([]*profile.Location{gf, f, main}, Labels{Comm: "x"}, 2, 20)
	b.Sample([]*profile.Location{f, main}, Labels{Comm: "y", Stack: "truncated"}, 4, 40)
	b.Sample([]*profile.Location{main}, Labels{Comm: "y"}, 0, 0)
	return b.Profile()
}

func dump(t *Tree, n int32, depth int, out *strings.Builder) {
	name := "*"
	if n > 0 {
		name = t.Funcs[t.Nodes[n].Func].Name
	}
	fmt.Fprintf(out, "%s%s %d/%d\n", strings.Repeat(" ", depth), name, t.Nodes[n].Self, t.Nodes[n].Total)
	for c := t.Nodes[n].FirstChild; c != 0; c = t.Nodes[c].NextSibling {
		if t.Nodes[c].Parent != n || c <= n {
			out.WriteString("wrong parent\n")
		}
		dump(t, c, depth+1, out)
	}
}

func TestTree(t *testing.T) {
	for _, c := range []struct {
		o    TreeOptions
		want string
	}{
		{TreeOptions{Value: 1}, "* 0/70\n main 0/70\n  f 40/70\n   f 10/30\n    g 20/20\n"},
		{TreeOptions{Value: 0, Comm: true}, "* 0/7\n y 0/4\n  main 0/4\n   f 4/4\n x 0/3\n  main 0/3\n   f 0/3\n    f 1/3\n     g 2/2\n"},
		{TreeOptions{Value: 0, Comm: true, ByName: true}, "* 0/7\n x 0/3\n  main 0/3\n   f 0/3\n    f 1/3\n     g 2/2\n y 0/4\n  main 0/4\n   f 4/4\n"},
	} {
		var got strings.Builder
		dump(NewTree(recursive(), c.o), 0, 0, &got)
		if got.String() != c.want {
			t.Errorf("%+v:\n%swant\n%s", c.o, got.String(), c.want)
		}
	}
}

func TestTopTable(t *testing.T) {
	table := NewTopTable(recursive(), 1)
	want := "f 50/70 g 20/20 main 0/70 "
	got := ""
	for _, r := range table.Rows {
		got += fmt.Sprintf("%s %d/%d ", r.Name, r.Self, r.Total)
	}
	if got != want || table.Total != 70 {
		t.Errorf("got %q of %d; want %q of 70", got, table.Total, want)
	}
}

func TestSummarize(t *testing.T) {
	p := recursive()
	p.Comments = []string{"host: x", LostComment(3), LostComment(4), "lost samples: many"}
	s := Summarize(p, 1)
	if s.Total != 70 || s.Samples != 7 || s.Incomplete != 4 || s.Lost != 7 || !s.LostKnown || len(s.Comments) != 2 || s.Type.Type != "cpu" {
		t.Errorf("%+v", s)
	}
	if i, err := ValueIndex(p, ""); i != 1 || err != nil {
		t.Errorf("default value is %d, %v", i, err)
	}
	if i, err := ValueIndex(p, "samples"); i != 0 || err != nil {
		t.Errorf("samples is %d, %v", i, err)
	}
	if _, err := ValueIndex(p, "heap"); err == nil || !strings.Contains(err.Error(), "samples, cpu") {
		t.Errorf("error %v", err)
	}
}

func TestSumsSaturate(t *testing.T) {
	p := recursive()
	for _, s := range p.Sample {
		s.Value[1] = math.MaxInt64
	}
	if total := NewTree(p, TreeOptions{Value: 1}).Nodes[0].Total; total != math.MaxInt64 {
		t.Errorf("total = %d", total)
	}
	if total := NewTopTable(p, 1).Total; total != math.MaxInt64 {
		t.Errorf("total = %d", total)
	}
}

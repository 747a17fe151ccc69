package profile

import (
	"slices"
	"testing"
)

func TestExtra(t *testing.T) {
	state, wait := Label{"state", "blocked"}, Label{"wait", "futex"}
	a, b := NewExtra(state, wait), NewExtra(wait, Label{"idle", ""}, state, Label{"state", "running"})
	if a != b {
		t.Errorf("%v and %v are two sets", a.Labels(), b.Labels())
	}
	if got := a.Labels(); !slices.Equal(got, []Label{state, wait}) {
		t.Errorf("labels %v", got)
	}
	if NewExtra(Label{"state", ""}) != (Extra{}) || len((Extra{}).Labels()) != 0 {
		t.Error("a set of nothing is not the empty set")
	}
	if got := NewExtra(Label{"e", "1"}, Label{"d", "1"}, Label{"c", "1"}, Label{"b", "1"}, Label{"a", "1"}).Labels(); len(got) != MaxExtra || got[3].Key != "d" {
		t.Errorf("labels %v", got)
	}
}

// Samples that differ in a further label alone are two, and carry it.
func TestBuilderExtra(t *testing.T) {
	b := NewBuilder(BuilderOptions{SampleTypes: []ValueType{{"samples", "count"}, {"off_cpu", "nanoseconds"}}})
	for _, state := range []string{"blocked", "runnable", "blocked"} {
		b.Sample(nil, Labels{Comm: "x", Extra: NewExtra(Label{"state", state}, Label{LabelComm, "forged"})}, 1, 5)
	}
	p := b.Profile()
	if err := p.CheckValid(); err != nil {
		t.Fatal(err)
	}
	if len(p.Sample) != 2 || p.Sample[0].Label["state"][0] != "blocked" || p.Sample[0].Value[1] != 10 || p.Sample[0].Label[LabelComm][0] != "x" {
		t.Errorf("samples %+v", p.Sample)
	}
}

package profile

import "testing"

func TestSplit(t *testing.T) {
	b := NewBuilder(BuilderOptions{SampleTypes: []ValueType{{"samples", "count"}}})
	locs := map[string]int64{"b": 2, "a": 3, "": 1}
	for service, n := range locs {
		b.Sample(nil, Labels{Service: service}, n)
		b.Location(Mapping{}, 1, []Frame{{Name: "f" + service}})
	}
	p := b.Profile()
	parts := Split(p, LabelService)
	if len(parts) != 3 || parts[0].Value != "" || parts[1].Value != "a" || parts[2].Value != "b" {
		t.Fatalf("parts %+v", parts)
	}
	for _, part := range parts {
		if len(part.Profile.Sample) != 1 || part.Profile.Sample[0].Value[0] != locs[part.Value] {
			t.Errorf("part %q has %v", part.Value, part.Profile.Sample)
		}
		if len(part.Profile.Function) != 0 {
			t.Errorf("part %q holds functions that its samples do not need", part.Value)
		}
	}
	if len(p.Sample) != 3 {
		t.Error("the profile was changed")
	}
}

package perfevent

import (
	"io"
	"slices"
	"strings"
	"testing"
)

func TestReadID(t *testing.T) {
	for text, want := range map[string]uint64{"365\n": 365, "": 0, "x": 0, "-1": 0, "99999999999": 0} {
		got, err := readID(io.NopCloser(strings.NewReader(text)))
		if got != want || (want == 0) != (err != nil) {
			t.Errorf("readID(%q) = %d, %v", text, got, err)
		}
	}
}

// Every name leads to an event of its own, but for the two names of the clock.
func TestNames(t *testing.T) {
	seen := map[[2]uint64]string{}
	for _, name := range Names() {
		e, err := Lookup(name)
		if err != nil || e.Name != name {
			t.Errorf("Lookup(%q) = %+v, %v", name, e, err)
		}
		key := [2]uint64{uint64(e.Type), e.Config}
		if other := seen[key]; other != "" && other != "cpu" {
			t.Errorf("%s and %s are the same event", name, other)
		}
		seen[key] = name
	}
	for _, name := range []string{
		"L1-dcache-loads", "L1-dcache-load-misses", "L1-icache-load-misses", "LLC-loads", "LLC-load-misses", "dTLB-store-misses",
		"iTLB-load-misses", "branches", "cache-misses",
	} {
		if !slices.Contains(Names(), name) {
			t.Errorf("no %s", name)
		}
	}
}

func FuzzLookup(f *testing.F) {
	f.Add("cycles")
	f.Add("r1a8")
	f.Add("sched:sched_switch")
	f.Fuzz(func(t *testing.T, name string) {
		if e, err := Lookup(name); err == nil && e.Name != name {
			t.Errorf("Lookup(%q) = %+v", name, e)
		}
	})
}

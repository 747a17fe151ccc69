package guest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// A sampledEvent is an event with a period, and the name of its values in a profile.
type sampledEvent struct {
	pmuEvent
	period uint64
}

func (e sampledEvent) valueType() string { return strings.ReplaceAll(e.name, "-", "_") }

// sampledEvents are three that are asked for at once.
func sampledEvents() []sampledEvent {
	all := pmuEvents()
	return []sampledEvent{{all[3], 2000}, {all[5], 4000}, {all[11], 2000}}
}

// recordEvents records them into one profile, which it returns with the summary.
func recordEvents(t *testing.T, args ...string) (*profile.Profile, summary) {
	t.Helper()
	dir := t.TempDir()
	path, sum := filepath.Join(dir, "out.pb.gz"), filepath.Join(dir, "summary.json")
	argv := []string{"record", "-o", path, "--summary", sum}
	for _, e := range sampledEvents() {
		argv = append(argv, "-e", fmt.Sprintf("%s:%d", e.name, e.period))
	}
	if exit, _, stderr := run(t, append(argv, args...)...); exit != 0 {
		t.Fatalf("exit %d: %s", exit, stderr)
	}
	var s summary
	data, err := os.ReadFile(sum)
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("summary: %s", strings.Join(strings.Fields(string(data)), " "))
	for _, e := range sampledEvents() {
		n := s.Events[e.name]
		if n.Samples == 0 || n.Fired != n.Samples || total(n.Lost) != 0 {
			t.Errorf("%s: fired %d, samples %d, lost %v", e.name, n.Fired, n.Samples, n.Lost)
		}
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := profile.Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	return p, s
}

// valueIn adds up the values of a type in samples whose leaf is a function, "" for any.
func valueIn(t *testing.T, p *profile.Profile, name, leaf string) (n int64) {
	t.Helper()
	at := slices.IndexFunc(p.SampleType, func(v *profile.ValueType) bool { return v.Type == name })
	if at < 0 {
		t.Fatalf("the profile has no %s: %v", name, p.SampleType)
	}
	for _, s := range p.Sample {
		if leaf == "" || userLeaf(s) == leaf {
			n += s.Value[at]
		}
	}
	return n
}

// userLeaf is the first function of a stack that is not the kernel's.
func userLeaf(s *profile.Sample) string {
	for _, l := range s.Location {
		if l.Mapping != nil && l.Mapping.File == "[kernel]" || len(l.Line) == 0 {
			continue
		}
		return l.Line[0].Function.Name
	}
	return ""
}

// TestPMURecordEvents: three events in one profile, each with what was injected of it,
// in the functions that injected it.
func TestPMURecordEvents(t *testing.T) {
	needPMU(t)
	onlyInjected(t)
	i := missing("0,1")
	i.here, i.there = mix{}, mix{}
	want := map[string][2]uint64{}
	for n, e := range sampledEvents() {
		i.here[e.id], i.there[e.id] = uint64(n+1)*e.period, e.period
		want[e.name] = [2]uint64{uint64(n + 1), 1}
	}
	p, s := recordEvents(t, append([]string{"--"}, i.argv()...)...)
	rounds := uint64(3 * i.rounds)
	for _, e := range sampledEvents() {
		w := want[e.name]
		if got := s.Events[e.name].Fired; got != int64(rounds*(w[0]+w[1])) {
			t.Errorf("%s fired %d times, want %d", e.name, got, rounds*(w[0]+w[1]))
		}
		for k, leaf := range []string{"here", "there"} {
			if got := valueIn(t, p, e.valueType(), leaf); got != int64(rounds*w[k]*e.period) {
				t.Errorf("%s in %s: %d, injected %d", e.name, leaf, got, rounds*w[k]*e.period)
			}
		}
	}
}

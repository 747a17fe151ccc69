package otlp_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"go.opentelemetry.io/collector/pdata/pprofile"

	"github.com/ebpfprof/ebpfprof/pkg/export"
	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

func window(kind, service string, types []prof.ValueType, stacks int, values ...int64) *prof.Window {
	b := prof.NewBuilder(prof.BuilderOptions{SampleTypes: types, PeriodType: types[len(types)-1], Period: 10101010})
	libc := prof.Mapping{Start: 0x1000, Limit: 1 << 40, File: "/lib/libc.so.6", BuildID: "c0ffee"}
	root := b.Location(libc, 0x1000, []prof.Frame{{Name: "inlined", File: "a.c", Line: 3}, {Name: "main", File: "a.c", Line: 9}})
	for i := range stacks {
		leaf := b.Location(libc, uint64(0x2000+i), []prof.Frame{{Name: fmt.Sprintf("leaf%d\xff", i)}})
		for tid := int64(1); tid <= 2; tid++ {
			b.Sample([]*profile.Location{leaf, root, b.Marker("[truncated]")}, prof.Labels{PID: 5, TID: tid, Comm: "c"}, values...)
		}
	}
	return &prof.Window{
		Series:  prof.Series{Kind: kind, Service: service, Labels: map[string]string{"pod": "p-" + service}},
		Profile: b.Profile(),
	}
}

// arrived is what a collector says of profiles, by service and sample type.
type arrived struct {
	samples    int
	sum        int64
	period     string
	frames     map[string]bool // root;...;leaf
	attributes map[string]any
	sampleKeys int
}

func read(all []pprofile.Profiles) map[string]*arrived {
	got := make(map[string]*arrived)
	for _, p := range all {
		d := p.Dictionary()
		text := func(i int32) string { return d.StringTable().At(int(i)) }
		for _, r := range p.ResourceProfiles().All() {
			service, _ := r.Resource().Attributes().Get("service.name")
			for _, scope := range r.ScopeProfiles().All() {
				for _, one := range scope.Profiles().All() {
					t, period := one.SampleType(), one.PeriodType()
					key := service.Str() + " " + text(t.TypeStrindex()) + "/" + text(t.UnitStrindex())
					a := got[key]
					if a == nil {
						a = &arrived{frames: make(map[string]bool), attributes: r.Resource().Attributes().AsRaw()}
						got[key] = a
					}
					a.period = fmt.Sprintf("%s/%s:%d", text(period.TypeStrindex()), text(period.UnitStrindex()), one.Period())
					for _, s := range one.Samples().All() {
						a.samples++
						a.sum += s.Values().At(0)
						a.sampleKeys += s.AttributeIndices().Len()
						a.frames[stackOf(d, s, text)] = true
					}
				}
			}
		}
	}
	return got
}

func stackOf(d pprofile.ProfilesDictionary, s pprofile.Sample, text func(int32) string) string {
	var names []string
	for _, l := range d.StackTable().At(int(s.StackIndex())).LocationIndices().All() {
		location := d.LocationTable().At(int(l))
		for _, line := range location.Lines().All() {
			names = append(names, text(d.FunctionTable().At(int(line.FunctionIndex())).NameStrindex()))
		}
	}
	return strings.Join(names, ";")
}

func TestCollector(t *testing.T) {
	s := &sink{}
	e, err := export.NewOTLP(export.Options{URL: startCollector(t, s), Labels: map[string]string{"host": "h"}})
	if err != nil {
		t.Fatal(err)
	}
	count, ns := prof.ValueType{Type: "samples", Unit: "count"}, "nanoseconds"
	cpu := []prof.ValueType{count, {Type: "cpu", Unit: ns}}
	now := time.Now()
	for _, iv := range []*prof.Interval{
		{Kind: "cpu", Windows: []*prof.Window{window("cpu", "web", cpu, 100, 1, 10101010), window("cpu", "db", cpu, 7, 2, 20202020)}},
		{Kind: "off_cpu", Windows: []*prof.Window{window("off_cpu", "web", []prof.ValueType{count, {Type: "off_cpu", Unit: ns}}, 3, 1, 500)}},
		{Kind: "alloc", Windows: []*prof.Window{window("alloc", "web", []prof.ValueType{{Type: "alloc_objects", Unit: "count"}, {Type: "alloc_space", Unit: "bytes"}}, 3, 2, 64)}},
	} {
		iv.Start, iv.Duration = now, 10*time.Second
		if err := e.Push(t.Context(), iv); err != nil {
			t.Fatal(err)
		}
	}
	if st := e.Status(); st.Pushed != 4 || st.Requests[export.OutcomeOK] != 3 {
		t.Errorf("status: %+v", st)
	}
	got := read(s.all())
	for key, want := range map[string]arrived{
		"web samples/count":       {samples: 100, sum: 200, period: "cpu/nanoseconds:10101010"},
		"db samples/count":        {samples: 7, sum: 28, period: "cpu/nanoseconds:10101010"},
		"web off_cpu/nanoseconds": {samples: 3, sum: 3000, period: "/:0"},
		"web alloc_objects/count": {samples: 3, sum: 12, period: "alloc_space/bytes:10101010"},
		"web alloc_space/bytes":   {samples: 3, sum: 384, period: "alloc_space/bytes:10101010"},
	} {
		a := got[key]
		if a == nil {
			t.Errorf("%s did not arrive: %v", key, got)
			continue
		}
		if a.samples != want.samples || a.sum != want.sum || a.period != want.period || len(a.frames) != want.samples || a.sampleKeys != 0 {
			t.Errorf("%s: %+v, want %+v", key, *a, want)
		}
		if !a.frames["leaf2\uFFFD;inlined;main;[truncated]"] {
			t.Errorf("%s: frames %v", key, a.frames)
		}
		if service, _, _ := strings.Cut(key, " "); a.attributes["pod"] != "p-"+service || a.attributes["host"] != "h" || len(a.attributes) != 3 {
			t.Errorf("%s: attributes %v", key, a.attributes)
		}
	}
	if len(got) != 5 {
		t.Errorf("%d profiles: %v", len(got), got)
	}
	checkTables(t, s.all()[0])
}

// checkTables: entry 0 of each is the zero value, entries are there once, and the mapping has its build ID.
func checkTables(t *testing.T, p pprofile.Profiles) {
	t.Helper()
	d := p.Dictionary()
	if d.StringTable().At(0) != "" || d.FunctionTable().At(0).NameStrindex() != 0 || d.LocationTable().At(0).Lines().Len() != 0 ||
		d.StackTable().At(0).LocationIndices().Len() != 0 || d.LinkTable().Len() != 1 {
		t.Error("an entry 0 is not zero")
	}
	// Two services share libc: 100 leaves, the root and the marker.
	if m, l := d.MappingTable().Len(), d.LocationTable().Len(); m != 2 || l != 103 {
		t.Errorf("%d mappings and %d locations, want 2 and 103", m, l)
	}
	build := d.AttributeTable().At(int(d.MappingTable().At(1).AttributeIndices().At(0)))
	if key := d.StringTable().At(int(build.KeyStrindex())); key != "process.executable.build_id.gnu" || build.Value().Str() != "c0ffee" {
		t.Errorf("build ID: %s = %s", key, build.Value().AsString())
	}
}

// TestSplit: a profile that is larger than a request comes in several, with the same sum.
func TestSplit(t *testing.T) {
	s := &sink{}
	e, err := export.NewOTLP(export.Options{URL: startCollector(t, s), MaxRequestBytes: 100000})
	if err != nil {
		t.Fatal(err)
	}
	types := []prof.ValueType{{Type: "cpu", Unit: "nanoseconds"}}
	iv := &prof.Interval{Kind: "cpu", Start: time.Now(), Duration: time.Second, Windows: []*prof.Window{window("cpu", "web", types, 20000, 5)}}
	if err := e.Push(t.Context(), iv); err != nil {
		t.Fatal(err)
	}
	all := s.all()
	a := read(all)["web cpu/nanoseconds"]
	if len(all) < 5 || a == nil || a.samples != 20000 || a.sum != 200000 || len(a.frames) != 20000 {
		t.Errorf("%d requests", len(all))
	}
	if st := e.Status(); int(st.Pushed) != len(all) || st.Added != st.Pushed {
		t.Errorf("status: %+v", st)
	}
}

// TestSampleAttributes: the labels of a kind arrive as attributes of its samples; those of threads do not.
func TestSampleAttributes(t *testing.T) {
	s := &sink{}
	e, err := export.NewOTLP(export.Options{URL: startCollector(t, s)})
	if err != nil {
		t.Fatal(err)
	}
	types := []prof.ValueType{{Type: "samples", Unit: "count"}, {Type: "off_cpu", Unit: "nanoseconds"}}
	w := window("off_cpu", "web", types, 3, 1, 500)
	for i, s := range w.Profile.Sample {
		s.Label["state"] = []string{[]string{"io", "runqueue"}[i%2]} // of the two threads
	}
	iv := &prof.Interval{Kind: "off_cpu", Start: time.Now(), Duration: 10 * time.Second, Windows: []*prof.Window{w}}
	if err := e.Push(t.Context(), iv); err != nil {
		t.Fatal(err)
	}
	sums := map[string]int64{}
	for _, p := range s.all() {
		d := p.Dictionary()
		for _, r := range p.ResourceProfiles().All() {
			for _, x := range r.ScopeProfiles().At(0).Profiles().At(0).Samples().All() {
				if x.AttributeIndices().Len() != 1 {
					t.Fatalf("%d attributes", x.AttributeIndices().Len())
				}
				a := d.AttributeTable().At(int(x.AttributeIndices().At(0)))
				sums[d.StringTable().At(int(a.KeyStrindex()))+"="+a.Value().AsString()] += x.Values().At(0)
			}
		}
	}
	if len(sums) != 2 || sums["state=io"] != 1500 || sums["state=runqueue"] != 1500 {
		t.Errorf("sums: %v", sums)
	}
}

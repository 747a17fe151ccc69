package pyroscope_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/export"
	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
	"github.com/ebpfprof/ebpfprof/test/pyroscope"
)

func strict() pyroscope.Rules {
	r := pyroscope.Default()
	r.NoSampleLabels = true
	return r
}

func TestPush(t *testing.T) {
	server := &pyroscope.Server{Rules: strict(), Tenant: "team"}
	e := newExporter(t, export.Options{URL: serve(t, server).URL, Tenant: "team", Labels: map[string]string{"host.name": "h", "pod": "outer"}})
	run(t, e)
	iv := interval("cpu", time.Now().Add(-time.Minute), 200, 30)
	iv.Windows[0].Labels = map[string]string{"1st-label": "é\xff", "__meta__": "x", "empty": ""}
	e.Add(iv)
	s := eventually(t, e, "200 profiles", nothingWaits)
	if s.Pushed != 200 || dropped(s) != 0 || s.LastSuccess == nil || s.LastError != "" {
		t.Errorf("status: %+v", s)
	}
	if n := server.Requests(); n > 3 || n != int(s.Requests[export.OutcomeOK]) {
		t.Errorf("%d requests for 200 small series, %v", n, s.Requests)
	}
	profiles := server.Profiles()
	want := map[string]string{
		"__name__": "process_cpu", "service_name": "service-000", "_1st_label": "é\uFFFD", "host_name": "h", "pod": "outer",
	}
	for name, value := range want {
		if got := profiles[0].Labels[name]; got != value {
			t.Errorf("label %s = %q, want %q", name, got, value)
		}
	}
	if len(profiles[0].Labels) != len(want) || profiles[1].Labels["pod"] != "p" {
		t.Errorf("labels: %v, %v", profiles[0].Labels, profiles[1].Labels)
	}
	for service, sum := range totals(t, profiles) {
		if sum != 60*10101010 {
			t.Errorf("%s: %d ns", service, sum)
		}
	}
	checkPprof(t, profiles[0].Raw, iv)
}

// checkPprof compares what arrived with what was sent, by pprof's own reader.
func checkPprof(t *testing.T, raw []byte, iv *prof.Interval) {
	t.Helper()
	p, err := profile.Parse(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.CheckValid(); err != nil {
		t.Fatal(err)
	}
	if p.TimeNanos != iv.Start.UnixNano() || p.DurationNanos != int64(iv.Duration) || p.Period != 10101010 ||
		p.PeriodType.Type != "cpu" || p.PeriodType.Unit != "nanoseconds" || p.DefaultSampleType != "cpu" {
		t.Errorf("header: %v", p)
	}
	if len(p.Sample) != 30 || p.Sample[3].Value[0] != 2 || p.Sample[3].Value[1] != 20202020 {
		t.Fatalf("%d samples, the fourth is %v; want the threads of each of 30 stacks added up", len(p.Sample), p.Sample[3])
	}
	root := p.Sample[3].Location[1]
	if leaf := p.Sample[3].Location[0]; leaf.Line[0].Function.Name != "leaf3" || leaf.Address != 0x2003 || leaf.Mapping.BuildID != "abcd" {
		t.Errorf("leaf: %+v", leaf)
	}
	if len(root.Line) != 2 || root.Line[0].Function.Name != "inlined" || root.Line[1].Function.Name != "main" || root.Line[1].Line != 9 {
		t.Errorf("root: %+v", root)
	}
	if m := p.Mapping[0]; m.File != "/usr/bin/exe" || m.Start != 0x1000 || m.Limit != 1<<40 || !m.HasFunctions || !m.HasInlineFrames {
		t.Errorf("mapping: %+v", m)
	}
}

func TestKinds(t *testing.T) {
	server := &pyroscope.Server{Rules: strict()}
	e := newExporter(t, export.Options{URL: serve(t, server).URL})
	for kind, want := range map[string]string{
		"cpu": "process_cpu", "off_cpu": "off_cpu", "alloc": "memory", "heap": "memory",
		"alloc_space": "memory", "inuse_space": "memory", "L1-dcache-loads": "L1_dcache_loads",
	} {
		iv := interval(kind, time.Now(), 1, 1)
		p := iv.Windows[0].Profile
		p.SampleType[1].Type, p.DefaultSampleType, p.PeriodType = "x-y", "x-y", nil
		if err := e.Push(t.Context(), iv); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		profiles := server.Profiles()
		got := profiles[len(profiles)-1]
		if got.Labels["__name__"] != want || (want == "memory") != (got.Labels["__delta__"] == "false") {
			t.Errorf("%s: labels %v", kind, got.Labels)
		}
		parsed, err := profile.ParseData(got.Raw)
		if err != nil || parsed.SampleType[1].Type != "x_y" || parsed.PeriodType.Type != "x_y" {
			t.Errorf("%s: %v, %v", kind, parsed, err)
		}
	}
}

// TestSampleLabels: the labels of a kind go along, and none that names a thread or is the series' own.
func TestSampleLabels(t *testing.T) {
	server := &pyroscope.Server{Rules: pyroscope.Default()}
	e := newExporter(t, export.Options{URL: serve(t, server).URL})
	iv := interval("off_cpu", time.Now(), 1, 3)
	for i, s := range iv.Windows[0].Profile.Sample {
		s.Label["state"] = []string{[]string{"io", "runqueue"}[i%2]} // of the two threads
		s.Label["pod"] = []string{"other"}
	}
	if err := e.Push(t.Context(), iv); err != nil {
		t.Fatal(err)
	}
	p, err := profile.ParseData(server.Profiles()[0].Raw)
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]int64{}
	for _, s := range p.Sample {
		if len(s.Label) != 1 || len(s.NumLabel) != 0 {
			t.Errorf("labels %v %v", s.Label, s.NumLabel)
		}
		states[s.Label["state"][0]] += s.Value[0]
	}
	if len(p.Sample) != 6 || states["io"] != 3 || states["runqueue"] != 3 {
		t.Errorf("%d samples, by state %v", len(p.Sample), states)
	}
}

func TestSplitSamples(t *testing.T) {
	server := &pyroscope.Server{Rules: strict()}
	e := newExporter(t, export.Options{URL: serve(t, server).URL})
	if err := e.Push(t.Context(), interval("cpu", time.Now(), 1, 40000)); err != nil {
		t.Fatal(err)
	}
	profiles := server.Profiles()
	if got, want := totals(t, profiles)["service-000"], int64(80000*10101010); got != want || len(profiles) < 3 {
		t.Errorf("%d profiles with %d ns, want at least 3 with %d", len(profiles), got, want)
	}
	if s := e.Status(); s.Added != s.Pushed || int(s.Pushed) != len(profiles) {
		t.Errorf("status: %+v", s)
	}
}

// TestSplitBytes: names of 3 KB, so that 5,000 stacks are 15 MB and no profile may have 16,000 of them.
func TestSplitBytes(t *testing.T) {
	rules := strict()
	rules.Burst, rules.Rate = 2<<20, 1<<40 // what is larger than the burst is never accepted
	server := &pyroscope.Server{Rules: rules}
	e := newExporter(t, export.Options{URL: serve(t, server).URL})
	iv := interval("cpu", time.Now(), 1, 5000)
	for _, f := range iv.Windows[0].Profile.Function {
		f.Name = strings.Repeat("é\xff", 1000) + f.Name
	}
	if err := e.Push(t.Context(), iv); err != nil {
		t.Fatal(err)
	}
	profiles := server.Profiles()
	if got, want := totals(t, profiles)["service-000"], int64(10000*10101010); got != want || len(profiles) < 8 {
		t.Errorf("%d profiles with %d ns, want at least 8 with %d", len(profiles), got, want)
	}
}

func TestTooManyLabels(t *testing.T) {
	server := &pyroscope.Server{Rules: strict()}
	e := newExporter(t, export.Options{URL: serve(t, server).URL})
	iv := interval("cpu", time.Now(), 1, 1)
	iv.Windows[0].Labels = map[string]string{strings.Repeat("n", 2000): strings.Repeat("é", 2000)}
	for i := range 40 {
		iv.Windows[0].Labels["label"+string(rune('a'+i%26))+string(rune('a'+i/26))] = "v"
	}
	if err := e.Push(t.Context(), iv); err != nil {
		t.Fatal(err)
	}
	if s := e.Status(); s.DroppedLabels != 13 || len(server.Profiles()[0].Labels) != 30 {
		t.Errorf("%d labels dropped, %d kept", s.DroppedLabels, len(server.Profiles()[0].Labels))
	}
}

func TestDeepStack(t *testing.T) {
	server := &pyroscope.Server{Rules: strict()}
	e := newExporter(t, export.Options{URL: serve(t, server).URL})
	iv := interval("cpu", time.Now(), 1, 1500)
	p := iv.Windows[0].Profile
	p.Sample[0].Location = p.Location
	p.Sample = p.Sample[:1]
	if err := e.Push(t.Context(), iv); err != nil {
		t.Fatal(err)
	}
	got, err := profile.ParseData(server.Profiles()[0].Raw)
	if err != nil {
		t.Fatal(err)
	}
	stack := got.Sample[0].Location
	last := p.Location[len(p.Location)-1]
	if len(stack) != 1000 || stack[0].Address != p.Location[0].Address || stack[999].Address != last.Address ||
		stack[499].Line[0].Function.Name != "[truncated]" {
		t.Errorf("a stack of %d: %v", len(stack), stack[499])
	}
}

// TestLongRecording: the start of two hours is refused, their end is not.
func TestLongRecording(t *testing.T) {
	server := &pyroscope.Server{Rules: strict()}
	e := newExporter(t, export.Options{URL: serve(t, server).URL})
	iv := interval("cpu", time.Now().Add(-2*time.Hour), 1, 1)
	iv.Duration = 2 * time.Hour
	if err := e.Push(t.Context(), iv); err != nil {
		t.Fatal(err)
	}
}

func TestInvalid(t *testing.T) {
	server := &pyroscope.Server{Rules: strict()}
	e := newExporter(t, export.Options{URL: serve(t, server).URL})
	iv := interval("cpu", time.Now(), 3, 2)
	iv.Windows[1].Profile.Sample[0].Value = []int64{1}
	iv.Windows[2].Profile.Sample = nil
	err := e.Push(t.Context(), iv)
	s := e.Status()
	if err == nil || s.Dropped[export.DropInvalid] != 1 || s.Empty != 1 || s.Pushed != 1 || !settled(s) {
		t.Errorf("%v; %+v", err, s)
	}
}

// TestServersRules: the fake refuses what a real server does. What the exporter sends is in order, so here the profiles
// are made by hand.
func TestServersRules(t *testing.T) {
	for name, c := range map[string]struct {
		rules  func(*pyroscope.Rules)
		change func(*prof.Interval)
		want   string
	}{
		"old":     {nil, func(iv *prof.Interval) { iv.Start = iv.Start.Add(-2 * time.Hour) }, "ingestion window"},
		"future":  {nil, func(iv *prof.Interval) { iv.Start = iv.Start.Add(time.Hour) }, "ingestion window"},
		"samples": {func(r *pyroscope.Rules) { r.Samples = 10 }, nil, "samples count limit"},
		"bytes":   {func(r *pyroscope.Rules) { r.Bytes = 100 }, nil, "size exceeds limit"},
		"labels":  {func(r *pyroscope.Rules) { r.LabelNames = 2 }, nil, "label names; limit"},
	} {
		t.Run(name, func(t *testing.T) {
			rules := strict()
			if c.rules != nil {
				c.rules(&rules)
			}
			server := &pyroscope.Server{Rules: rules}
			e := newExporter(t, export.Options{URL: serve(t, server).URL})
			iv := interval("cpu", time.Now(), 1, 20)
			if c.change != nil {
				c.change(iv)
			}
			err := e.Push(t.Context(), iv)
			s := e.Status()
			if err == nil || !strings.Contains(err.Error(), c.want) || s.Dropped[export.DropRefused] != 1 || server.Requests() != 1 {
				t.Errorf("%v; %+v", err, s)
			}
		})
	}
}

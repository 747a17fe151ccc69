package render

import (
	"cmp"
	"compress/gzip"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/google/pprof/profile"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

// writeFirefox writes the Firefox Profiler's processed profile format, version 60,
// which newer versions of the profiler upgrade as they load it. Threads are told
// apart by the labels pid and tid, or by comm in a profile without those.
//
// Samples are sums without a time of their own. Where the value is a time, a
// thread's samples follow one another from its start for as long as they took;
// otherwise they are spread evenly. Only the amounts mean anything.
func writeFirefox(w io.Writer, p *profile.Profile, o Options) error {
	value := valueIndex(p, o)
	sum := prof.Summarize(p, value)
	b := newFirefoxBuilder()
	f := firefoxProfile{Libs: []firefoxLib{}}
	f.Threads = firefoxThreads(b, p, value, sum)
	f.Shared, f.Libs = b.shared, b.libs
	f.Meta = firefoxMetaOf(sum, o)
	f.Meta.VisibleThreads, f.Meta.SelectedThreads = firefoxShown(f.Threads)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(f)
}

func writeFirefoxGzip(w io.Writer, p *profile.Profile, o Options) error {
	zw := gzip.NewWriter(w)
	if err := writeFirefox(zw, p, o); err != nil {
		return err
	}
	return zw.Close()
}

func firefoxMetaOf(sum prof.Summary, o Options) firefoxMeta {
	m := firefoxMeta{
		Interval: 1, Stackwalk: 1, Version: 24, Preprocessed: firefoxVersion,
		Product: cmp.Or(clean(o.Title), valueTitle(sum.Type)), ImportedFrom: "ebpfprof",
		Symbolicated: true, NoSearchfox: true, OneStackType: true,
		SampleUnits:  firefoxUnits{Time: "ms", EventDelay: "ms", CPUDelta: "ns"},
		MarkerSchema: []any{}, EndTime: float64(sum.Duration) / 1e6,
	}
	if sum.Period > 0 && sum.PeriodType.Unit == "nanoseconds" {
		m.Interval = float64(sum.Period) / 1e6
	}
	if !sum.Start.IsZero() {
		m.StartTime = float64(sum.Start.UnixMilli())
	}
	for k := range firefoxColors {
		name := prof.Kind(k).String()
		if prof.Kind(k) == prof.KindProcess {
			name = "Other"
		}
		m.Categories = append(m.Categories, firefoxCategory{Name: name, Color: firefoxColors[k], Subcategories: []string{"Other"}})
	}
	section := firefoxSection{Label: "Recording", Entries: []firefoxEntry{}}
	for _, fact := range append(facts(sum), sum.Comments...) {
		section.Entries = append(section.Entries, firefoxEntry{Label: "fact", Format: "string", Value: clean(fact)})
	}
	m.Extra = []firefoxSection{section}
	return m
}

// firefoxColors are the profiler's names of colours, by kind. The grey category of
// processes is the default one that the format requires.
var firefoxColors = [prof.NumKinds]string{
	prof.KindNative: "yellow", prof.KindC: "blue", prof.KindCPP: "purple", prof.KindRust: "brown",
	prof.KindGo: "lightblue", prof.KindJIT: "green", prof.KindInterpreter: "magenta", prof.KindInlined: "lightred",
	prof.KindKernel: "orange", prof.KindVDSO: "red", prof.KindMarker: "darkgrey", prof.KindProcess: "grey",
}

type firefoxThreadKey struct {
	pid, tid int64
	comm     string // only without pid and tid
}

func firefoxThreads(b *firefoxBuilder, p *profile.Profile, value int, sum prof.Summary) []*firefoxThread {
	groups := make(map[firefoxThreadKey][]*profile.Sample)
	for _, s := range p.Sample {
		if s.Value[value] == 0 {
			continue
		}
		k := firefoxThreadKey{pid: number(s, prof.LabelPID), tid: number(s, prof.LabelTID)}
		if k.pid == 0 && k.tid == 0 {
			k.comm = prof.Comm(s)
		}
		groups[k] = append(groups[k], s)
	}
	keys := make([]firefoxThreadKey, 0, len(groups))
	for k := range groups {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(x, y firefoxThreadKey) int {
		return cmp.Or(cmp.Compare(x.pid, y.pid), cmp.Compare(x.tid, y.tid), strings.Compare(x.comm, y.comm))
	})
	threads := make([]*firefoxThread, 0, len(keys))
	for _, k := range keys {
		threads = append(threads, firefoxThreadOf(b, k, groups[k], value, sum))
	}
	if len(threads) == 0 { // the profiler rejects a profile without any
		threads = append(threads, firefoxThreadOf(b, firefoxThreadKey{}, nil, value, sum))
	}
	return threads
}

func firefoxThreadOf(b *firefoxBuilder, k firefoxThreadKey, samples []*profile.Sample, value int, sum prof.Summary) *firefoxThread {
	t := &firefoxThread{
		ProcessType: "default", PausedRanges: []any{},
		PID: strconv.FormatInt(k.pid, 10), TID: cmp.Or(k.tid, k.pid), Main: k.tid == k.pid,
		Markers: firefoxMarkers{Data: []any{}, Name: []any{}, Start: []any{}, End: []any{}, Phase: []any{}, Category: []any{}},
	}
	unit := 1.0
	switch sum.Type.Unit {
	case "nanoseconds":
		t.Samples.WeightType, unit = "tracing-ms", 1e6
	case "bytes":
		t.Samples.WeightType = "bytes"
	default:
		t.Samples.WeightType = "samples"
	}
	t.Samples.Stack, t.Samples.Time, t.Samples.Weight = column{}, []float64{}, []float64{}
	now := 0.0
	for i, s := range samples {
		weight := float64(s.Value[value]) / unit
		t.Samples.Stack = append(t.Samples.Stack, b.stack(s))
		t.Samples.Time = append(t.Samples.Time, now)
		t.Samples.Weight = append(t.Samples.Weight, weight)
		t.total += weight
		if unit == 1 {
			now = float64(sum.Duration) / 1e6 * float64(i+1) / float64(len(samples))
		} else if weight > 0 {
			now += weight
		}
		t.Name = cmp.Or(t.Name, clean(prof.Comm(s)))
		if service := s.Label[prof.LabelService]; len(service) > 0 {
			t.ProcessName = cmp.Or(t.ProcessName, clean(service[0]))
		}
	}
	t.Samples.Length = len(samples)
	t.Name = cmp.Or(t.Name, t.ProcessName, "thread")
	t.ProcessName = cmp.Or(t.ProcessName, t.Name)
	return t
}

func number(s *profile.Sample, key string) int64 {
	if v := s.NumLabel[key]; len(v) > 0 {
		return v[0]
	}
	return 0
}

// maxShown is how many threads the profiler shows at first; all are in its menu.
const maxShown = 30

// firefoxShown returns the threads with the most weight, in order of appearance,
// and of those the one to select.
func firefoxShown(threads []*firefoxThread) (visible, selected []int) {
	for i := range threads {
		visible = append(visible, i)
	}
	slices.SortStableFunc(visible, func(a, b int) int { return cmp.Compare(threads[b].total, threads[a].total) })
	visible = visible[:min(len(visible), maxShown)]
	selected = []int{visible[0]}
	slices.Sort(visible)
	return visible, selected
}

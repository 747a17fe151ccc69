package agent

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// A sampleKey is what equal samples have in common, in the numbers of a generation.
type sampleKey struct {
	stack   uint32
	process uint32
	comm    uint32
	tid     int32
}

type count struct {
	samples uint64
	events  uint64 // that the samples stand for: more than samples where they are thinned
	weight  uint64 // of those events
}

// value is what a count is worth in the event's unit.
func (c count) value(e loader.Event) int64 {
	if e.IsTime() {
		return int64(c.events * uint64(time.Second) / e.Frequency)
	}
	return int64(c.weight)
}

// unitOf is the event's own sample type, and its period in that unit.
func unitOf(e loader.Event) (profile.ValueType, int64) {
	if e.IsTime() {
		return profile.ValueType{Type: "cpu", Unit: "nanoseconds"}, int64(uint64(time.Second) / e.Frequency)
	}
	return profile.ValueType{Type: profileType(e.Name), Unit: "count"}, int64(e.Period)
}

// profileType is an event's name as a sample type: Pyroscope refuses a dash.
func profileType(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "-", "_"), ":", "_")
}

func builderOptions(e loader.Event, start time.Time, duration time.Duration, comments []string) profile.BuilderOptions {
	unit, period := unitOf(e)
	return profile.BuilderOptions{
		SampleTypes: []profile.ValueType{{Type: "samples", Unit: "count"}, unit},
		PeriodType:  unit,
		Period:      period,
		Start:       start,
		Duration:    duration,
		Comments:    comments,
	}
}

// sortedKeys is the order of samples in a profile: by process, thread, stack and name.
func (v *view) sortedKeys(m map[sampleKey]count) []sampleKey {
	return slices.SortedFunc(maps.Keys(m), func(a, b sampleKey) int {
		return cmp.Or(cmp.Compare(a.process, b.process), cmp.Compare(a.tid, b.tid),
			cmp.Compare(a.stack, b.stack), strings.Compare(v.comms[a.comm], v.comms[b.comm]))
	})
}

// stacksOf returns the numbers of the stacks of some keys, each once, in the order of the keys.
func stacksOf(keys []sampleKey) []uint32 {
	seen := make(map[uint32]bool, len(keys))
	var out []uint32
	for _, k := range keys {
		if !seen[k.stack] {
			seen[k.stack] = true
			out = append(out, k.stack)
		}
	}
	return out
}

// enter adds one count to a builder. service "" is the thread's name.
func (l *locator) enter(v *view, k sampleKey, c count, st namedStack, e loader.Event, service string) {
	p := v.processes[k.process]
	labels := profile.Labels{
		Comm: v.comms[k.comm], PID: int64(p.pid), TID: int64(k.tid),
		Service: service, Container: p.container, Stack: st.reason(),
	}
	if labels.Service == "" {
		labels.Service = labels.Comm
	}
	l.b.Sample(l.locations(st), labels, int64(c.events), c.value(e))
}

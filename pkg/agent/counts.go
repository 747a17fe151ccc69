package agent

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// A sampleKey is what equal samples have in common, in the numbers of a generation.
type sampleKey struct {
	stack   uint32
	process uint32
	tid     int32
	comm    uint16
	kindTag
}

type count struct {
	samples uint64
	events  uint64  // that the samples stand for: more than samples where they are thinned
	weight  uint64  // of those events
	objects float64 // Sample.Objects
	waited  uint64  // Sample.Waited
}

func (c count) plus(o count) count {
	return count{c.samples + o.samples, c.events + o.events, c.weight + o.weight, c.objects + o.objects, c.waited + o.waited}
}

// builderOptions are those of a profile of some kinds. What is shown of it first is the first kind.
func builderOptions(kinds []Kind, start time.Time, duration time.Duration, comments []string) profile.BuilderOptions {
	types := []profile.ValueType{{Type: "samples", Unit: "count"}}
	for _, k := range kinds {
		types = append(types, k.types()...)
	}
	periodType := kinds[0].PeriodType
	if periodType == (profile.ValueType{}) {
		periodType = kinds[0].Type
	}
	return profile.BuilderOptions{
		SampleTypes: types,
		DefaultType: kinds[0].Type.Type,
		PeriodType:  periodType,
		Period:      kinds[0].Period,
		Start:       start,
		Duration:    duration,
		Comments:    comments,
	}
}

// sortedKeys is the order of samples in a profile: by kind, process, thread, stack, name and tag.
func (v *view) sortedKeys(m map[sampleKey]count) []sampleKey {
	return slices.SortedFunc(maps.Keys(m), func(a, b sampleKey) int {
		return cmp.Or(cmp.Compare(a.kind(), b.kind()), cmp.Compare(a.process, b.process), cmp.Compare(a.tid, b.tid),
			cmp.Compare(a.stack, b.stack), strings.Compare(v.comms[a.comm], v.comms[b.comm]), cmp.Compare(a.kindTag, b.kindTag))
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

// enter adds the values of one sample to a builder and returns the sample that has them. service "" is the thread's name.
func (l *locator) enter(v *view, k sampleKey, kind Kind, st namedStack, service string, values ...int64) *pprof.Sample {
	p := v.processes[k.process]
	labels := profile.Labels{
		Comm: v.comms[k.comm], PID: int64(p.pid), TID: int64(k.tid),
		Service: service, Container: p.container, Stack: st.reason(),
	}
	if kind.Labels != nil {
		labels.Extra = kind.Labels(k.tag(), st.functions)
	}
	if labels.Service == "" {
		labels.Service = labels.Comm
	}
	return l.b.Sample(l.locations(st), labels, values...)
}

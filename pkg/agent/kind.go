package agent

import (
	"fmt"
	"iter"
	"math"
	"strings"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// A Kind is what the samples of one event mean: what a sample is worth, and what else is said of it. A sample belongs to
// the kind with the number Sample.Event.
type Kind struct {
	Event string // its name, as users write it: "page-faults"
	// Type is what values count: cpu/nanoseconds, page_faults/count.
	Type profile.ValueType
	// Period is the distance of two samples in Type's unit; 0 when there is none.
	Period int64
	// PeriodType is what Period counts, if not Type.
	PeriodType profile.ValueType
	// Objects is what a sample is worth besides, Sample.Objects; the zero value: nothing.
	Objects profile.ValueType
	// Frequency is that of a clock in Hz: a sample is worth 1 s / Frequency, and Type's unit is the nanosecond. Otherwise it
	// is 0, and a sample is worth its weight.
	Frequency uint64
	// Labels returns what a sample's tag and the functions of its stack, leaf first, say of it; nil: nothing. It is called
	// on several goroutines, for each distinct sample of a window.
	Labels func(tag uint16, functions iter.Seq[string]) profile.Extra
	// Comments are those of a Collector's profile of a series between two moments; nil: none. It is called on the goroutine
	// that names.
	Comments func(s profile.Series, from, to time.Time) []string
}

// KindOf is the kind of a perf event.
func KindOf(e loader.Event) Kind {
	if e.IsOffCPU() {
		return offCPUKind()
	}
	if e.IsAlloc() {
		return allocKind(e)
	}
	if e.IsHeap() {
		return heapKind(e)
	}
	k := Kind{Event: e.Name, Type: profile.ValueType{Type: profileType(e.Name), Unit: "count"}, Period: int64(e.Period)}
	if e.Clock() {
		k.Type.Unit = "nanoseconds"
	}
	if e.IsTime() {
		k.Type.Type = "cpu"
		k.Frequency, k.Period = e.Frequency, int64(uint64(time.Second)/e.Frequency)
	}
	return k
}

// KindsOf are the kinds of perf events, in their order.
func KindsOf(events ...loader.Event) []Kind {
	kinds := make([]Kind, len(events))
	for i, e := range events {
		kinds[i] = KindOf(e)
	}
	return kinds
}

// Name is the kind of the profiles: the event's name with _ for what Pyroscope refuses in one.
func (k Kind) Name() string { return profileType(k.Event) }

// value is what a count is worth in the kind's unit.
func (k Kind) value(c count) int64 {
	if k.Frequency != 0 {
		return int64(c.events * uint64(time.Second) / k.Frequency)
	}
	return int64(c.weight)
}

// types are those of the values of a sample.
func (k Kind) types() []profile.ValueType {
	if k.Objects == (profile.ValueType{}) {
		return []profile.ValueType{k.Type}
	}
	return []profile.ValueType{k.Objects, k.Type} // as in Go's heap profiles
}

// values fills in what a count is worth, one for each of types.
func (k Kind) values(c count, to []int64) {
	to[len(to)-1] = k.value(c)
	if len(to) > 1 {
		to[0] = int64(math.Round(c.objects))
	}
}

// profileType is an event's name as a sample type: Pyroscope refuses a dash.
func profileType(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "-", "_"), ":", "_")
}

// maxKinds is what a kindTag has room for, and tagBits what a tag may have.
const (
	tagBits  = 12
	maxKinds = 1 << (16 - tagBits)
)

// CheckKinds makes sure that profiles can tell kinds apart.
func CheckKinds(kinds []Kind) error {
	if len(kinds) == 0 || len(kinds) > maxKinds {
		return fmt.Errorf("%d kinds: want 1 to %d", len(kinds), maxKinds)
	}
	names, types := map[string]bool{}, map[string]bool{}
	for _, k := range kinds {
		if names[k.Name()] || types[k.Type.Type] {
			return fmt.Errorf("event %s is asked for twice", k.Event)
		}
		names[k.Name()], types[k.Type.Type] = true, true
	}
	return nil
}

// A kindTag is the number of a sample's kind, and its tag.
type kindTag uint16

func kindTagOf(s *loader.Sample) kindTag {
	return kindTag(s.Event<<tagBits) | kindTag(s.Tag)&(1<<tagBits-1)
}

func (t kindTag) kind() int   { return int(t >> tagBits) }
func (t kindTag) tag() uint16 { return uint16(t) & (1<<tagBits - 1) }

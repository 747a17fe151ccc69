package export

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/google/pprof/profile"
	collector "go.opentelemetry.io/proto/slim/otlp/collector/profiles/v1development"
	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	otel "go.opentelemetry.io/proto/slim/otlp/profiles/v1development"
	resource "go.opentelemetry.io/proto/slim/otlp/resource/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

// otlpPath is that of the signal while it is in development (opentelemetry-proto 1.11, docs/specification.md). The
// messages change without a version of their own: the module that has them is pinned, and test/otlp holds it against a
// collector.
const otlpPath = "/v1development/profiles"

// otlp speaks OTLP profiles over HTTP.
type otlp struct {
	request int // bytes
	extra   map[string]string
}

// An otlpType is one number of a profile as OTLP has it: a profile of its own.
type otlpType struct {
	index        int // in the values of a stack
	kind, period prof.ValueType
	every        int64
}

// otlpTypes returns what to send of p. Pyroscope recognises CPU time by samples/count with a period of cpu/nanoseconds,
// and off-CPU time by off_cpu/nanoseconds without any; the collector takes everything. Counts of events go along only
// where there is nothing else.
func otlpTypes(kind string, p *profile.Profile) []otlpType {
	period := prof.ValueType{}
	if p.PeriodType != nil {
		period = prof.ValueType{Type: typeName(p.PeriodType.Type), Unit: typeName(p.PeriodType.Unit)}
	}
	count := prof.CountIndex(p)
	if kind == "cpu" && count >= 0 && p.Period > 0 {
		return []otlpType{{count, prof.ValueType{Type: "samples", Unit: "count"}, period, p.Period}}
	}
	var types []otlpType
	for i, t := range p.SampleType {
		if i == count && len(p.SampleType) > 1 {
			continue
		}
		o := otlpType{i, prof.ValueType{Type: typeName(t.Type), Unit: typeName(t.Unit)}, period, p.Period}
		if kind == "off_cpu" {
			o.period, o.every = prof.ValueType{}, 0
		}
		types = append(types, o)
	}
	return types
}

func (o *otlp) encode(iv *prof.Interval, at time.Time, emit func(batch)) tally {
	var t tally
	r := newOTLPRequest()
	flush := func() {
		if r.profiles > 0 {
			emit(batch{at: at, profiles: r.profiles, body: pack(r.marshal())})
			r = newOTLPRequest()
		}
	}
	for _, window := range iv.Windows {
		sums, err := sumStacks(window.Profile)
		if err != nil {
			t.drop(DropInvalid, 1, fmt.Errorf("encode profile of %q: %w", window.Service, err))
			continue
		}
		types := otlpTypes(window.Kind, window.Profile)
		sums = slices.DeleteFunc(sums, func(s stackSum) bool {
			return !slices.ContainsFunc(types, func(t otlpType) bool { return s.values[t.index] != 0 })
		})
		if len(sums) == 0 {
			t.empty++
			continue
		}
		attributes, noRoom := o.attributes(window)
		t.labels += noRoom
		for i := 0; i < len(sums); t.pieces++ {
			if r.size > o.request {
				flush()
			}
			profiles := r.open(attributes, types, at, iv.Duration)
			for more := true; more; more = i < len(sums) && r.size <= o.request { // at least one each time
				r.add(profiles, types, sums[i])
				i++
			}
		}
		t.pieces-- // the first piece is the window itself
	}
	flush()
	return t
}

// attributes returns those of the resource. The keys are inline: Pyroscope does not read references to the string table
// here and would file everything under unknown_service.
func (o *otlp) attributes(w *prof.Window) ([]*common.KeyValue, int) {
	service := w.Service
	if service == "" {
		service = "unknown"
	}
	labels, dropped := seriesLabels([]label{{"service.name", limit(service, maxLabelValue)}}, w.Labels, o.extra)
	attributes := make([]*common.KeyValue, 0, len(labels))
	for _, l := range labels {
		attributes = append(attributes, &common.KeyValue{
			Key: l.name, Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: l.value}},
		})
	}
	return attributes, dropped
}

// An otlpRequest is one message while it is built.
type otlpRequest struct {
	dictionary
	resources []*otel.ResourceProfiles
	profiles  int // windows, or pieces of them
}

func newOTLPRequest() *otlpRequest { return &otlpRequest{dictionary: newDictionary()} }

// open begins the profiles of a window, one of each type.
func (r *otlpRequest) open(attributes []*common.KeyValue, types []otlpType, at time.Time, d time.Duration) []*otel.Profile {
	profiles := make([]*otel.Profile, len(types))
	for i, t := range types {
		var id [16]byte
		_, _ = rand.Read(id[:]) // never fails
		profiles[i] = &otel.Profile{
			SampleType: r.valueType(t.kind), PeriodType: r.valueType(t.period), Period: t.every,
			TimeUnixNano: uint64(at.UnixNano()), DurationNano: uint64(d), ProfileId: id[:],
		}
	}
	in := &otel.ResourceProfiles{
		Resource: &resource.Resource{Attributes: attributes},
		ScopeProfiles: []*otel.ScopeProfiles{{
			Scope: &common.InstrumentationScope{Name: "ebpfprof"}, Profiles: profiles,
		}},
	}
	r.size += proto.Size(in)
	r.resources = append(r.resources, in)
	r.profiles++
	return profiles
}

// add enters a stack's values in the profiles of their types.
func (r *otlpRequest) add(profiles []*otel.Profile, types []otlpType, s stackSum) {
	stack := r.stack(s.locations)
	var attributes []int32
	for _, l := range s.labels {
		attributes = append(attributes, r.attribute(l.Key, l.Value))
	}
	for i, t := range types {
		if v := s.values[t.index]; v != 0 {
			sample := &otel.Sample{StackIndex: stack, Values: []int64{v}, AttributeIndices: attributes}
			r.size += proto.Size(sample) + 2
			profiles[i].Samples = append(profiles[i].Samples, sample)
		}
	}
}

func (r *otlpRequest) marshal() []byte {
	for _, in := range r.resources {
		scope := in.ScopeProfiles[0]
		scope.Profiles = slices.DeleteFunc(scope.Profiles, func(p *otel.Profile) bool { return len(p.Samples) == 0 })
	}
	message, err := proto.Marshal(&collector.ExportProfilesServiceRequest{ResourceProfiles: r.resources, Dictionary: r.tables})
	if err != nil {
		panic("otlp message that does not encode: " + err.Error()) // every string is valid UTF-8, there is no other way
	}
	return message
}

// judge tells what a reply to b means (opentelemetry-proto, docs/specification.md, "OTLP/HTTP Response").
func (o *otlp) judge(r reply, b batch) verdict {
	if r.err != nil {
		return verdict{again: &b, wait: r.wait, err: r.err}
	}
	if r.status/100 == 2 {
		return judgePartial(r.body, b)
	}
	err := fmt.Errorf("push: server says %d: %s", r.status, limit(otlpMessage(r.body), 512))
	switch r.status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout:
		return verdict{again: &b, wait: r.wait, busy: true, err: err}
	case http.StatusUnauthorized, http.StatusForbidden:
		return verdict{dropped: map[string]int{DropUnauthorized: b.profiles}, err: err}
	}
	return verdict{dropped: map[string]int{DropRefused: b.profiles}, err: err}
}

// judgePartial reads a success, which may say that the server took a part only. That part must not be sent again.
func judgePartial(body []byte, b batch) verdict {
	var response collector.ExportProfilesServiceResponse
	if proto.Unmarshal(body, &response) != nil {
		return verdict{pushed: b.profiles} // cut off or JSON: the status says enough
	}
	partial := response.GetPartialSuccess()
	rejected := int(min(max(partial.GetRejectedProfiles(), 0), int64(b.profiles)))
	if rejected == 0 {
		return verdict{pushed: b.profiles}
	}
	return verdict{
		pushed: b.profiles - rejected, dropped: map[string]int{DropRefused: rejected},
		err: fmt.Errorf("push: server rejects %d profiles: %s", rejected, limit(partial.GetErrorMessage(), 512)),
	}
}

// otlpMessage returns the text of an error, which is a google.rpc.Status or what a proxy says.
func otlpMessage(body []byte) string {
	const statusMessage = 2
	message := ""
	err := fields(body, func(field protowire.Number, value, _ []byte) error {
		if field == statusMessage {
			message = string(value)
		}
		return nil
	})
	if err != nil || message == "" {
		return string(body)
	}
	return message
}

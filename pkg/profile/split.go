package profile

import (
	"maps"
	"slices"

	"github.com/google/pprof/profile"
)

// Split divides p by the value of a string label, in the order of the values; samples without the label are under "". The
// parts share nothing that changes with p, and each holds only what its samples need.
func Split(p *profile.Profile, label string) []Part {
	samples := map[string][]*profile.Sample{}
	for _, s := range p.Sample {
		value := ""
		if v := s.Label[label]; len(v) > 0 {
			value = v[0]
		}
		samples[value] = append(samples[value], s)
	}
	var parts []Part
	for _, value := range slices.Sorted(maps.Keys(samples)) {
		part := &profile.Profile{
			SampleType: p.SampleType, DefaultSampleType: p.DefaultSampleType, Sample: samples[value],
			Mapping: p.Mapping, Location: p.Location, Function: p.Function, Comments: p.Comments,
			TimeNanos: p.TimeNanos, DurationNanos: p.DurationNanos, PeriodType: p.PeriodType, Period: p.Period,
		}
		parts = append(parts, Part{Value: value, Profile: part.Compact()})
	}
	return parts
}

// A Part is the samples of a profile with one value of a label.
type Part struct {
	Value   string
	Profile *profile.Profile
}

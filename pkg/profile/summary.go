package profile

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/pprof/profile"
)

// A Summary is what is true of a profile as a whole, for headers and footers.
type Summary struct {
	Type       ValueType // of Total
	Total      int64
	Samples    int64 // events counted by samples/count, or else distinct samples
	Incomplete int64 // of Samples, those whose stack is not complete
	Lost       int64 // events that fired and are not in the profile
	LostKnown  bool  // false when the profile does not say
	Start      time.Time
	Duration   time.Duration
	Period     int64
	PeriodType ValueType
	Comments   []string // those that are not part of the fields above
}

const lostPrefix = "lost samples: "

// LostComment returns the comment from which Summarize learns how many events
// fired but are not in the profile.
func LostComment(n int64) string { return lostPrefix + strconv.FormatInt(n, 10) }

// Summarize sums up p for the sample type with index value.
func Summarize(p *profile.Profile, value int) Summary {
	s := Summary{
		Type:     ValueType{p.SampleType[value].Type, p.SampleType[value].Unit},
		Duration: time.Duration(p.DurationNanos),
		Period:   p.Period,
	}
	if p.TimeNanos != 0 {
		s.Start = time.Unix(0, p.TimeNanos).UTC()
	}
	if p.PeriodType != nil {
		s.PeriodType = ValueType{p.PeriodType.Type, p.PeriodType.Unit}
	}
	count := CountIndex(p)
	for _, sample := range p.Sample {
		n := int64(1)
		if count >= 0 {
			n = sample.Value[count]
		}
		s.Total = addSaturated(s.Total, sample.Value[value])
		s.Samples = addSaturated(s.Samples, n)
		if len(sample.Label[LabelStack]) > 0 {
			s.Incomplete = addSaturated(s.Incomplete, n)
		}
	}
	for _, c := range p.Comments {
		if n, err := strconv.ParseInt(strings.TrimPrefix(c, lostPrefix), 10, 64); err == nil && strings.HasPrefix(c, lostPrefix) {
			s.Lost, s.LostKnown = s.Lost+n, true
		} else {
			s.Comments = append(s.Comments, c)
		}
	}
	return s
}

// CountIndex returns the index of samples/count, or -1.
func CountIndex(p *profile.Profile) int {
	for i, t := range p.SampleType {
		if t.Type == "samples" && t.Unit == "count" {
			return i
		}
	}
	return -1
}

// ValueIndex returns the index of the sample type called name; for "" that is the
// default sample type, which is the last where p names none.
func ValueIndex(p *profile.Profile, name string) (int, error) {
	if len(p.SampleType) == 0 {
		return 0, fmt.Errorf("find sample type %q: profile has no sample types", name)
	}
	if name == "" && p.DefaultSampleType == "" {
		return len(p.SampleType) - 1, nil
	}
	want, have := name, make([]string, len(p.SampleType))
	if want == "" {
		want = p.DefaultSampleType
	}
	for i, t := range p.SampleType {
		if t.Type == want {
			return i, nil
		}
		have[i] = t.Type
	}
	if name == "" {
		return len(p.SampleType) - 1, nil
	}
	return 0, fmt.Errorf("find sample type %q: profile has %s", name, strings.Join(have, ", "))
}

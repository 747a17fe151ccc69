package server

import (
	"context"
	"fmt"
	"maps"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// kindWall is a kind that is not sampled but made of two that are: what threads did with the time that went by. Its samples
// are told apart by the label of the same name.
const (
	kindWall   = "wall"
	labelWall  = "wall"
	wallOnCPU  = "on-cpu"
	wallOffCPU = "off-cpu"
)

// wallParts are the kinds that wall is made of, by the value of its label.
func wallParts() map[string]string { return map[string]string{wallOnCPU: "cpu", wallOffCPU: "off_cpu"} }

// withDerived returns the kinds of s and those that can be made of them.
func (s Status) withDerived() []KindStatus {
	kinds := append([]KindStatus{}, s.Kinds...)
	if _, taken := s.sampled(kindWall); taken {
		return kinds
	}
	for _, part := range wallParts() {
		// A part that is wanted and cannot be had makes the whole untrue.
		if k, ok := s.sampled(part); !ok || k.Problem != "" || k.Unit != "nanoseconds" {
			return kinds
		}
	}
	return append(kinds, KindStatus{
		Name: kindWall, Unit: "nanoseconds", MadeOf: []string{"cpu", "off_cpu"},
		Problem: "it is made of cpu and off_cpu: ask for these",
	})
}

// A derivedHistory answers for wall as well.
type derivedHistory struct{ History }

// Series returns the series that have one of the parts.
func (h derivedHistory) Series(ctx context.Context, kind string, from, to time.Time) ([]profile.Series, error) {
	if kind != kindWall {
		return h.History.Series(ctx, kind, from, to)
	}
	var all []profile.Series
	seen := map[string]bool{}
	for _, part := range []string{"cpu", "off_cpu"} {
		list, err := h.History.Series(ctx, part, from, to)
		if err != nil {
			return nil, err
		}
		for _, s := range list {
			if key := s.Service + "\x00" + labelKey(s.Labels); !seen[key] {
				seen[key] = true
				s.Kind = kindWall
				all = append(all, s)
			}
		}
	}
	return all, nil
}

// Timeline sums the parts; a bucket is covered where both are.
func (h derivedHistory) Timeline(ctx context.Context, q TimelineQuery) ([]TimelineBucket, error) {
	if q.Kind != kindWall {
		return h.History.Timeline(ctx, q)
	}
	q.Kind = "cpu"
	on, err := h.History.Timeline(ctx, q)
	if err != nil {
		return nil, err
	}
	q.Kind = "off_cpu"
	off, err := h.History.Timeline(ctx, q)
	if err != nil {
		return nil, err
	}
	out := make([]TimelineBucket, min(len(on), len(off)))
	for i := range out {
		out[i] = TimelineBucket{Value: on[i].Value + off[i].Value, Lost: on[i].Lost + off[i].Lost, Covered: on[i].Covered && off[i].Covered}
	}
	return out, nil
}

// Profile merges the parts. Each is of the same span; where one covers less of it than the other, a comment says so, and
// the coverage is the lesser.
func (h derivedHistory) Profile(ctx context.Context, q Query) (*pprof.Profile, Coverage, error) {
	if q.Kind != kindWall {
		return h.History.Profile(ctx, q)
	}
	var parts []*pprof.Profile
	var covers []Coverage
	for _, value := range []string{wallOnCPU, wallOffCPU} {
		q.Kind = wallParts()[value]
		p, c, err := h.History.Profile(ctx, q)
		if err != nil {
			return nil, c, err
		}
		if p != nil && len(p.SampleType) > 0 {
			if err := asWall(p, value); err != nil {
				return nil, c, err
			}
			parts = append(parts, p)
		}
		covers = append(covers, c)
	}
	covered := bothCovered(covers[0], covers[1])
	if len(parts) == 0 {
		return nil, covered, nil
	}
	merged, err := pprof.Merge(parts)
	if err != nil {
		return nil, covered, fmt.Errorf("merge on-CPU and off-CPU time: %w", err)
	}
	merged.DurationNanos = parts[0].DurationNanos // the parts are of the same time, not of one after the other
	for _, p := range parts[1:] {
		merged.DurationNanos = max(merged.DurationNanos, p.DurationNanos)
	}
	if on, off := covers[0].Covered, covers[1].Covered; on != off {
		merged.Comments = append(merged.Comments, fmt.Sprintf("CPU time is known of %s, off-CPU time of %s", on, off))
	}
	return merged, covered, nil
}

// asWall gives p the sample types of wall and its samples the label.
func asWall(p *pprof.Profile, value string) error {
	spent, err := profile.ValueIndex(p, "")
	if err != nil {
		return fmt.Errorf("make wall of %s: %w", value, err)
	}
	count := profile.CountIndex(p)
	for _, s := range p.Sample {
		events := int64(1)
		if count >= 0 {
			events = s.Value[count]
		}
		s.Value = []int64{events, s.Value[spent]}
		label := make(map[string][]string, len(s.Label)+1) // samples may share theirs
		maps.Copy(label, s.Label)
		label[labelWall] = []string{value}
		s.Label = label
	}
	p.SampleType = []*pprof.ValueType{{Type: "samples", Unit: "count"}, {Type: kindWall, Unit: "nanoseconds"}}
	p.DefaultSampleType = kindWall
	p.PeriodType, p.Period = &pprof.ValueType{Type: kindWall, Unit: "nanoseconds"}, 0
	return nil
}

// bothCovered is what is known of both: no longer than the lesser, from where both are.
func bothCovered(a, b Coverage) Coverage {
	out := Coverage{
		From: a.From, To: a.To, Covered: min(a.Covered, b.Covered), Windows: a.Windows + b.Windows,
		Lost: a.Lost + b.Lost, Skipped: a.Skipped + b.Skipped,
	}
	if a.Windows == 0 || !b.From.IsZero() && b.From.Before(a.From) {
		out.From = b.From
	}
	if b.To.After(a.To) {
		out.To = b.To
	}
	return out
}

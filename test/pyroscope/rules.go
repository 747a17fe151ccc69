package pyroscope

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"connectrpc.com/connect"
	googlev1 "github.com/grafana/pyroscope/api/gen/proto/go/google/v1"
	pushv1 "github.com/grafana/pyroscope/api/gen/proto/go/push/v1"
	typesv1 "github.com/grafana/pyroscope/api/gen/proto/go/types/v1"
)

// Rules are what a server accepts of one profile.
type Rules struct {
	Samples, Bytes        int
	LabelNames            int
	LabelName, LabelValue int // bytes
	StrictLabels          bool
	Older, Newer          time.Duration
	Rate, Burst           int // bytes a second, bytes; 0: no limit
	Depth                 int
	NoSampleLabels        bool // stricter than a real server, which makes a series of each value
}

// Default returns the limits of a server that nobody configured, and the label names of servers before 2026, which
// refuse dots and dashes.
func Default() Rules {
	return Rules{
		Samples: 16000, Bytes: 4 << 20, LabelNames: 30, LabelName: 1024, LabelValue: 2048, StrictLabels: true,
		Older: time.Hour, Newer: 10 * time.Minute, Depth: 1000,
	}
}

var strictName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

func invalid(format string, a ...any) error {
	return connect.NewError(connect.CodeInvalidArgument, fmt.Errorf(format, a...))
}

func (r Rules) check(pairs []*typesv1.LabelPair, sample *pushv1.RawSample, now time.Time) (Profile, error) {
	labels, err := r.checkLabels(pairs)
	if err != nil {
		return Profile{}, err
	}
	raw, err := r.unzip(sample.RawProfile)
	if err != nil {
		return Profile{}, err
	}
	var p googlev1.Profile
	if err := p.UnmarshalVT(raw); err != nil {
		return Profile{}, invalid("parse profile: %w", err)
	}
	if err := r.checkProfile(&p, now); err != nil {
		return Profile{}, err
	}
	service := labels["service_name"]
	if service == "" {
		service = "unknown_service"
	}
	return Profile{ID: sample.ID, Service: service, Labels: labels, Raw: raw}, nil
}

func (r Rules) checkLabels(pairs []*typesv1.LabelPair) (map[string]string, error) {
	if len(pairs) > r.LabelNames {
		return nil, invalid("profile series has %d label names; limit %d", len(pairs), r.LabelNames)
	}
	labels := make(map[string]string)
	for _, l := range pairs {
		switch _, twice := labels[l.Name]; {
		case twice:
			return nil, invalid("duplicate label name: '%s'", l.Name)
		case len(l.Name) > r.LabelName:
			return nil, invalid("label name too long: '%s'", l.Name)
		case len(l.Value) > r.LabelValue:
			return nil, invalid("label value too long: '%s'", l.Value)
		case !utf8.ValidString(l.Name) || !utf8.ValidString(l.Value) || l.Name == "":
			return nil, invalid("invalid label '%q'", l.Name)
		case r.StrictLabels && !strictName.MatchString(l.Name):
			return nil, invalid("invalid label name '%s'", l.Name)
		}
		labels[l.Name] = l.Value
	}
	if labels["__name__"] == "" {
		return nil, invalid("invalid metric name")
	}
	return labels, nil
}

func (r Rules) unzip(raw []byte) ([]byte, error) {
	if bytes.HasPrefix(raw, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			return nil, invalid("%w", err)
		}
		if raw, err = io.ReadAll(io.LimitReader(z, int64(r.Bytes)+1)); err != nil {
			return nil, invalid("%w", err)
		}
	}
	if len(raw) > r.Bytes {
		return nil, invalid("uncompressed profile payload size exceeds limit of %d", r.Bytes)
	}
	return raw, nil
}

func (r Rules) checkProfile(p *googlev1.Profile, now time.Time) error {
	if len(p.SampleType) == 0 {
		return invalid("empty profile")
	}
	if at := time.Unix(0, p.TimeNanos); p.TimeNanos > 0 && (!at.After(now.Add(-r.Older)) || !at.Before(now.Add(r.Newer))) {
		return invalid("profile is outside of ingestion window (profile timestamp: %s)", at)
	}
	if len(p.Sample) > r.Samples {
		return invalid("the profile exceeds the samples count limit (max_profile_stacktrace_samples, actual: %d, limit: %d)", len(p.Sample), r.Samples)
	}
	for _, s := range p.Sample {
		if len(s.Value) != len(p.SampleType) {
			return invalid("sample value length mismatch")
		}
		if len(s.LocationId) > r.Depth {
			return invalid("a stack of %d: a real server cuts its leaf off", len(s.LocationId))
		}
		if len(s.Label) > 0 && r.NoSampleLabels {
			return invalid("a sample has labels: a real server makes a series of each value")
		}
	}
	if len(p.StringTable) == 0 || p.StringTable[0] != "" {
		return invalid("string 0 should be empty string")
	}
	for _, s := range p.StringTable {
		if !utf8.ValidString(s) {
			return invalid("invalid utf8 string hex: %x", s)
		}
	}
	for _, t := range p.SampleType {
		if t.Type >= int64(len(p.StringTable)) || strings.Contains(p.StringTable[t.Type], "-") {
			return invalid("sample type contains -")
		}
	}
	return checkIDs(p)
}

// checkIDs: no part has ID 0, and every reference is to one that is there.
func checkIDs(p *googlev1.Profile) error {
	functions, mappings, locations := make(map[uint64]bool), map[uint64]bool{0: true}, make(map[uint64]bool)
	for _, f := range p.Function {
		functions[f.Id] = true
		if f.Id == 0 || max(f.Name, f.SystemName, f.Filename) >= int64(len(p.StringTable)) {
			return invalid("function id is 0, or a string index out of range")
		}
	}
	for _, m := range p.Mapping {
		mappings[m.Id] = true
	}
	for _, l := range p.Location {
		locations[l.Id] = true
		if l.Id == 0 || !mappings[l.MappingId] {
			return invalid("location id is 0, or its mapping is not there")
		}
		for _, line := range l.Line {
			if !functions[line.FunctionId] {
				return invalid("function %d is not there", line.FunctionId)
			}
		}
	}
	for _, s := range p.Sample {
		for _, id := range s.LocationId {
			if !locations[id] {
				return invalid("location %d is not there", id)
			}
		}
	}
	return nil
}

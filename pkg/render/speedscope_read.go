package render

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/google/pprof/profile"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

// A speedscopeInput is what is read of a file: both kinds of profiles.
type speedscopeInput struct {
	Schema   string           `json:"$schema"`
	Exporter string           `json:"exporter"`
	Shared   speedscopeShared `json:"shared"`
	Profiles []struct {
		Type    string    `json:"type"`
		Name    string    `json:"name"`
		Unit    string    `json:"unit"`
		Samples [][]int   `json:"samples"`
		Weights []float64 `json:"weights"`
		Events  []struct {
			Type  string  `json:"type"`
			Frame int     `json:"frame"`
			At    float64 `json:"at"`
		} `json:"events"`
	} `json:"profiles"`
}

// readSpeedscope reads a speedscope file. Profiles of the same unit are threads of
// one profile, named by their label comm, except in a file that writeSpeedscope
// wrote, where each is a sample type.
func readSpeedscope(data []byte) (*profile.Profile, error) {
	var in speedscopeInput
	if err := json.Unmarshal(data, &in); err != nil {
		return nil, err
	}
	if len(in.Profiles) == 0 || in.Schema != speedscopeSchema && len(in.Shared.Frames) == 0 {
		return nil, errors.New("no speedscope profile in it")
	}
	var types []prof.ValueType
	column := make([]int, len(in.Profiles))
	own := in.Exporter == speedscopeExporter
	for i, p := range in.Profiles {
		t := prof.ValueType{Type: p.Name, Unit: "count"}
		if unit, _ := speedscopeScale(p.Unit); unit != "" {
			t.Unit = unit
		}
		if !own {
			t.Type = map[string]string{"nanoseconds": "wall", "bytes": "space", "count": "samples"}[t.Unit]
		}
		if column[i] = slices.Index(types, t); column[i] < 0 {
			column[i] = len(types)
			types = append(types, t)
		}
	}
	r := speedscopeReader{
		b:      prof.NewBuilder(prof.BuilderOptions{SampleTypes: types}),
		frames: in.Shared.Frames,
		values: make([]int64, len(types)),
	}
	for i, p := range in.Profiles {
		r.column = column[i]
		_, r.scale = speedscopeScale(p.Unit)
		if !own {
			r.labels = prof.Labels{Comm: p.Name}
		}
		var err error
		switch p.Type {
		case "sampled":
			err = r.sampled(p.Samples, p.Weights)
		case "evented":
			var stack []int
			var last float64
			for _, e := range p.Events {
				if err = r.add(stack, e.At-last); err != nil {
					break
				}
				last = e.At
				if e.Type == "O" {
					stack = append(stack, e.Frame)
				} else if len(stack) > 0 {
					stack = stack[:len(stack)-1]
				}
			}
		default:
			err = fmt.Errorf("unknown type %.32q", p.Type)
		}
		if err != nil {
			return nil, fmt.Errorf("profile %d: %w", i, err)
		}
	}
	return r.b.Profile(), nil
}

// speedscopeScale returns pprof's unit for speedscope's, and the factor to it.
func speedscopeScale(unit string) (string, float64) {
	switch unit {
	case "nanoseconds":
		return unit, 1
	case "microseconds":
		return "nanoseconds", 1e3
	case "milliseconds":
		return "nanoseconds", 1e6
	case "seconds":
		return "nanoseconds", 1e9
	case "bytes":
		return unit, 1
	}
	return "", 1
}

type speedscopeReader struct {
	b      *prof.Builder
	frames []speedscopeFrame
	labels prof.Labels
	column int
	scale  float64
	values []int64
	locs   []*profile.Location
}

func (r *speedscopeReader) sampled(samples [][]int, weights []float64) error {
	if len(samples) != len(weights) {
		return fmt.Errorf("%d samples but %d weights", len(samples), len(weights))
	}
	for i, stack := range samples {
		if err := r.add(stack, weights[i]); err != nil {
			return fmt.Errorf("sample %d: %w", i, err)
		}
	}
	return nil
}

// add counts weight for stack, which runs from the root to the leaf.
func (r *speedscopeReader) add(stack []int, weight float64) error {
	weight *= r.scale
	if math.IsNaN(weight) || math.Abs(weight) >= math.MaxInt64 {
		return fmt.Errorf("weight %g is out of range", weight)
	}
	if len(stack) > maxStack {
		return fmt.Errorf("stack of %d frames; at most %d are read", len(stack), maxStack)
	}
	value := int64(math.Round(weight))
	if value == 0 || len(stack) == 0 {
		return nil
	}
	r.locs = r.locs[:0]
	for _, n := range slices.Backward(stack) {
		if n < 0 || n >= len(r.frames) {
			return fmt.Errorf("no frame %d; there are %d", n, len(r.frames))
		}
		f := r.frames[n]
		if f.Name == "" {
			f.Name = "(anonymous)"
		}
		r.locs = append(r.locs, r.b.Location(prof.Mapping{}, 0, []prof.Frame{{Name: f.Name, File: f.File, StartLine: f.Line}}))
	}
	clear(r.values)
	r.values[r.column] = value
	r.b.Sample(r.locs, r.labels, r.values...)
	return nil
}

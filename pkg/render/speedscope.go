package render

import (
	"encoding/json"
	"io"

	"github.com/google/pprof/profile"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

const (
	speedscopeSchema   = "https://www.speedscope.app/file-format-schema.json"
	speedscopeExporter = "ebpfprof"
)

// The types below follow speedscope's file-format-schema.json (draft-07), of which
// only "sampled" profiles are written.
type speedscopeFile struct {
	Schema   string              `json:"$schema"`
	Exporter string              `json:"exporter"`
	Name     string              `json:"name"`
	Active   int                 `json:"activeProfileIndex"`
	Shared   speedscopeShared    `json:"shared"`
	Profiles []speedscopeProfile `json:"profiles"`
}

type speedscopeShared struct {
	Frames []speedscopeFrame `json:"frames"`
}

type speedscopeFrame struct {
	Name string `json:"name"`
	File string `json:"file,omitempty"`
	Line int64  `json:"line,omitempty"`
}

type speedscopeProfile struct {
	Type    string    `json:"type"`
	Name    string    `json:"name"`
	Unit    string    `json:"unit"`
	Start   int64     `json:"startValue"`
	End     int64     `json:"endValue"`
	Samples [][]int32 `json:"samples"`
	Weights []int64   `json:"weights"`
}

// writeSpeedscope writes one profile per sample type, all with the same frames.
// Stacks are rooted in the thread name where the profile has them. Values that are
// not positive are left out, as speedscope has no notion of them.
func writeSpeedscope(w io.Writer, p *profile.Profile, o Options) error {
	value := valueIndex(p, o)
	name := o.Title
	if name == "" {
		sum := prof.Summarize(p, value)
		name = valueTitle(sum.Type)
	}
	f := speedscopeFile{
		Schema: speedscopeSchema, Exporter: speedscopeExporter, Name: clean(name), Active: value,
	}
	stacks := speedscopeStacks(p, &f.Shared)
	for i, t := range p.SampleType {
		sp := speedscopeProfile{
			Type: "sampled", Name: clean(t.Type), Unit: speedscopeUnit(t.Unit),
			Samples: [][]int32{}, Weights: []int64{},
		}
		for j, s := range p.Sample {
			if v := s.Value[i]; v > 0 {
				sp.Samples = append(sp.Samples, stacks[j])
				sp.Weights = append(sp.Weights, v)
				sp.End += v
			}
		}
		f.Profiles = append(f.Profiles, sp)
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(f)
}

// speedscopeStacks returns the stack of each sample, from the root to the leaf.
func speedscopeStacks(p *profile.Profile, shared *speedscopeShared) [][]int32 {
	shared.Frames = []speedscopeFrame{}
	index := make(map[speedscopeFrame]int32)
	number := func(f speedscopeFrame) int32 {
		i, ok := index[f]
		if !ok {
			i = int32(len(shared.Frames))
			index[f] = i
			shared.Frames = append(shared.Frames, f)
		}
		return i
	}
	locations := make(map[*profile.Location][]int32, len(p.Location))
	stacks := make([][]int32, len(p.Sample))
	for i, s := range p.Sample {
		stack := make([]int32, 0, len(s.Location)+1)
		if comm := prof.Comm(s); comm != "" {
			stack = append(stack, number(speedscopeFrame{Name: clean(comm)}))
		}
		for j := len(s.Location) - 1; j >= 0; j-- {
			l := s.Location[j]
			frames, ok := locations[l]
			if !ok {
				for k := max(len(l.Line), 1) - 1; k >= 0; k-- {
					frames = append(frames, number(speedscopeFrameOf(l, k)))
				}
				locations[l] = frames
			}
			stack = append(stack, frames...)
		}
		stacks[i] = stack
	}
	return stacks
}

// speedscopeFrameOf names the source file where it is known and else the module,
// by either of which speedscope groups colours.
func speedscopeFrameOf(l *profile.Location, i int) speedscopeFrame {
	f := speedscopeFrame{Name: clean(prof.Name(l, i))}
	if i < len(l.Line) && l.Line[i].Function.Filename != "" {
		f.File, f.Line = clean(l.Line[i].Function.Filename), max(l.Line[i].Function.StartLine, 0)
	} else if l.Mapping != nil {
		f.File = clean(l.Mapping.File)
	}
	return f
}

// speedscopeUnit returns unit if the schema has it, else "none".
func speedscopeUnit(unit string) string {
	switch unit {
	case "bytes", "nanoseconds", "microseconds", "milliseconds", "seconds":
		return unit
	}
	return "none"
}

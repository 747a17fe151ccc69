package render

import (
	"math"
	"strconv"
	"strings"

	"github.com/google/pprof/profile"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

// firefoxVersion is the preprocessedProfileVersion of the types below: tables are
// shared by all threads since 60. The format's changes are listed in
// docs-developer/CHANGELOG-formats.md of firefox-devtools/profiler.
const firefoxVersion = 60

type firefoxProfile struct {
	Meta    firefoxMeta      `json:"meta"`
	Libs    []firefoxLib     `json:"libs"`
	Shared  firefoxShared    `json:"shared"`
	Threads []*firefoxThread `json:"threads"`
}

type firefoxMeta struct {
	Interval        float64           `json:"interval"`
	StartTime       float64           `json:"startTime"`
	EndTime         float64           `json:"profilingEndTime,omitempty"`
	ProcessType     int               `json:"processType"`
	Categories      []firefoxCategory `json:"categories"`
	Product         string            `json:"product"`
	Stackwalk       int               `json:"stackwalk"`
	Version         int               `json:"version"`
	Preprocessed    int               `json:"preprocessedProfileVersion"`
	ImportedFrom    string            `json:"importedFrom"`
	Symbolicated    bool              `json:"symbolicated"`
	NoSearchfox     bool              `json:"sourceCodeIsNotOnSearchfox"`
	OneStackType    bool              `json:"usesOnlyOneStackType"`
	SampleUnits     firefoxUnits      `json:"sampleUnits"`
	MarkerSchema    []any             `json:"markerSchema"`
	Extra           []firefoxSection  `json:"extra"`
	VisibleThreads  []int             `json:"initialVisibleThreads"`
	SelectedThreads []int             `json:"initialSelectedThreads"`
}

type firefoxUnits struct {
	Time       string `json:"time"`
	EventDelay string `json:"eventDelay"`
	CPUDelta   string `json:"threadCPUDelta"`
}

type firefoxCategory struct {
	Name          string   `json:"name"`
	Color         string   `json:"color"`
	Subcategories []string `json:"subcategories"`
}

type firefoxSection struct {
	Label   string         `json:"label"`
	Entries []firefoxEntry `json:"entries"`
}

type firefoxEntry struct {
	Label  string `json:"label"`
	Format string `json:"format"`
	Value  string `json:"value"`
}

type firefoxLib struct {
	Arch       string  `json:"arch"`
	Name       string  `json:"name"`
	Path       string  `json:"path"`
	DebugName  string  `json:"debugName"`
	DebugPath  string  `json:"debugPath"`
	BreakpadID string  `json:"breakpadId"`
	CodeID     *string `json:"codeId"`
}

type firefoxThread struct {
	ProcessType  string         `json:"processType"`
	ProcessName  string         `json:"processName"`
	Startup      float64        `json:"processStartupTime"`
	Shutdown     *float64       `json:"processShutdownTime"`
	Register     float64        `json:"registerTime"`
	Unregister   *float64       `json:"unregisterTime"`
	PausedRanges []any          `json:"pausedRanges"`
	Name         string         `json:"name"`
	Main         bool           `json:"isMainThread"`
	PID          string         `json:"pid"`
	TID          int64          `json:"tid"`
	Samples      firefoxSamples `json:"samples"`
	Markers      firefoxMarkers `json:"markers"`

	total float64
}

type firefoxSamples struct {
	Stack      column    `json:"stack"`
	Time       []float64 `json:"time"`
	Weight     []float64 `json:"weight"`
	WeightType string    `json:"weightType"`
	Length     int       `json:"length"`
}

type firefoxMarkers struct {
	Data     []any `json:"data"`
	Name     []any `json:"name"`
	Start    []any `json:"startTime"`
	End      []any `json:"endTime"`
	Phase    []any `json:"phase"`
	Category []any `json:"category"`
	Length   int   `json:"length"`
}

type firefoxShared struct {
	Stacks struct {
		Frame  column `json:"frame"`
		Prefix column `json:"prefix"`
		Length int    `json:"length"`
	} `json:"stackTable"`
	Frames struct {
		Address      []int64 `json:"address"`
		InlineDepth  column  `json:"inlineDepth"`
		Category     column  `json:"category"`
		Subcategory  column  `json:"subcategory"`
		Func         column  `json:"func"`
		NativeSymbol column  `json:"nativeSymbol"`
		Window       column  `json:"innerWindowID"`
		Line         column  `json:"line"`
		Column       column  `json:"column"`
		Length       int     `json:"length"`
	} `json:"frameTable"`
	Funcs struct {
		Name          column  `json:"name"`
		IsJS          []bool  `json:"isJS"`
		RelevantForJS []bool  `json:"relevantForJS"`
		Resource      []int64 `json:"resource"`
		Source        column  `json:"source"`
		Line          column  `json:"lineNumber"`
		Column        column  `json:"columnNumber"`
		Length        int     `json:"length"`
	} `json:"funcTable"`
	Resources struct {
		Lib    column `json:"lib"`
		Name   column `json:"name"`
		Host   column `json:"host"`
		Type   column `json:"type"`
		Length int    `json:"length"`
	} `json:"resourceTable"`
	NativeSymbols struct {
		Lib     column `json:"libIndex"`
		Address column `json:"address"`
		Name    column `json:"name"`
		Size    column `json:"functionSize"`
		Length  int    `json:"length"`
	} `json:"nativeSymbols"`
	Sources struct {
		UUID     column `json:"uuid"`
		Filename column `json:"filename"`
		Length   int    `json:"length"`
	} `json:"sources"`
	Strings []string `json:"stringArray"`
}

// none is null in a column.
const none = -1

// A column holds whole numbers; negative ones are null in JSON.
type column []int64

// MarshalJSON implements json.Marshaler.
func (c column) MarshalJSON() ([]byte, error) {
	out := make([]byte, 0, 4*len(c)+2)
	out = append(out, '[')
	for i, v := range c {
		if i > 0 {
			out = append(out, ',')
		}
		if v < 0 {
			out = append(out, "null"...)
		} else {
			out = strconv.AppendInt(out, v, 10)
		}
	}
	return append(out, ']'), nil
}

type firefoxFunc struct {
	name, file string
	line       int64
	resource   int64
}

type firefoxStack struct{ prefix, frame int64 }

// A firefoxBuilder fills the shared tables.
type firefoxBuilder struct {
	shared    firefoxShared
	libs      []firefoxLib
	strings   map[string]int64
	stacks    map[firefoxStack]int64
	funcs     map[firefoxFunc]int64
	sources   map[string]int64
	resources map[*profile.Mapping]int64
	frames    map[*profile.Location][]int64 // innermost first
}

func newFirefoxBuilder() *firefoxBuilder {
	b := &firefoxBuilder{
		libs:      []firefoxLib{},
		strings:   make(map[string]int64),
		stacks:    make(map[firefoxStack]int64),
		funcs:     make(map[firefoxFunc]int64),
		sources:   make(map[string]int64),
		resources: make(map[*profile.Mapping]int64),
		frames:    make(map[*profile.Location][]int64),
	}
	b.shared.Strings = []string{}
	b.shared.Frames.Address = []int64{}
	b.shared.Funcs.Resource = []int64{}
	b.shared.Funcs.IsJS, b.shared.Funcs.RelevantForJS = []bool{}, []bool{}
	return b
}

func (b *firefoxBuilder) string(s string) int64 {
	s = clean(s)
	i, ok := b.strings[s]
	if !ok {
		i = int64(len(b.shared.Strings))
		b.strings[s] = i
		b.shared.Strings = append(b.shared.Strings, s)
	}
	return i
}

// stack returns the index of s's leaf in the stack table, or none.
func (b *firefoxBuilder) stack(s *profile.Sample) int64 {
	at := int64(none)
	for i := len(s.Location) - 1; i >= 0; i-- {
		frames := b.location(s.Location[i])
		for j := len(frames) - 1; j >= 0; j-- {
			key := firefoxStack{at, frames[j]}
			next, ok := b.stacks[key]
			if !ok {
				t := &b.shared.Stacks
				next = int64(t.Length)
				t.Frame, t.Prefix = append(t.Frame, frames[j]), append(t.Prefix, at)
				t.Length++
				b.stacks[key] = next
			}
			at = next
		}
	}
	return at
}

func (b *firefoxBuilder) location(l *profile.Location) []int64 {
	if frames, ok := b.frames[l]; ok {
		return frames
	}
	t := &b.shared.Frames
	frames := make([]int64, max(len(l.Line), 1))
	for i := range frames {
		line := int64(none)
		if i < len(l.Line) && l.Line[i].Line > 0 {
			line = l.Line[i].Line
		}
		frames[i] = int64(t.Length)
		t.Address = append(t.Address, relativeAddress(l))
		t.InlineDepth = append(t.InlineDepth, int64(min(len(frames)-1-i, 255)))
		t.Category = append(t.Category, int64(prof.KindOf(l, i)))
		t.Subcategory = append(t.Subcategory, 0)
		t.Func = append(t.Func, b.function(l, i))
		t.NativeSymbol = append(t.NativeSymbol, none)
		t.Window = append(t.Window, none)
		t.Line = append(t.Line, line)
		t.Column = append(t.Column, none)
		t.Length++
	}
	b.frames[l] = frames
	return frames
}

// relativeAddress returns l's distance from the start of its object file's image,
// or -1. The profiler keeps these in 32 bits.
func relativeAddress(l *profile.Location) int64 {
	if l.Mapping == nil || l.Mapping.Limit == 0 {
		return -1
	}
	base := l.Mapping.Start - min(l.Mapping.Offset, l.Mapping.Start)
	if l.Address < base || l.Address-base > math.MaxInt32 {
		return -1
	}
	return int64(l.Address - base)
}

func (b *firefoxBuilder) function(l *profile.Location, i int) int64 {
	f := firefoxFunc{name: prof.Name(l, i), resource: b.resource(l.Mapping)}
	if i < len(l.Line) {
		f.file, f.line = l.Line[i].Function.Filename, l.Line[i].Function.StartLine
	}
	if n, ok := b.funcs[f]; ok {
		return n
	}
	t := &b.shared.Funcs
	n := int64(t.Length)
	b.funcs[f] = n
	t.Name = append(t.Name, b.string(f.name))
	t.IsJS, t.RelevantForJS = append(t.IsJS, false), append(t.RelevantForJS, false)
	t.Resource = append(t.Resource, f.resource)
	t.Source = append(t.Source, b.source(f.file))
	line := int64(none)
	if f.line > 0 {
		line = f.line
	}
	t.Line, t.Column = append(t.Line, line), append(t.Column, none)
	t.Length++
	return n
}

func (b *firefoxBuilder) source(file string) int64 {
	if file == "" {
		return none
	}
	n, ok := b.sources[file]
	if !ok {
		t := &b.shared.Sources
		n = int64(t.Length)
		b.sources[file] = n
		t.UUID, t.Filename = append(t.UUID, none), append(t.Filename, b.string(file))
		t.Length++
	}
	return n
}

// resource returns the row of m in the resource table, where -1 is none.
func (b *firefoxBuilder) resource(m *profile.Mapping) int64 {
	if m == nil || m.File == "" {
		return none
	}
	if n, ok := b.resources[m]; ok {
		return n
	}
	const library = 1 // ResourceType.Library
	name, path := clean(prof.Basename(m.File)), clean(m.File)
	lib := firefoxLib{Name: name, Path: path, DebugName: name, DebugPath: path, BreakpadID: breakpadID(m.BuildID)}
	if m.BuildID != "" {
		id := clean(m.BuildID)
		lib.CodeID = &id
	}
	t := &b.shared.Resources
	n := int64(t.Length)
	b.resources[m] = n
	t.Lib, t.Name = append(t.Lib, int64(len(b.libs))), append(t.Name, b.string(name))
	t.Host, t.Type = append(t.Host, none), append(t.Type, library)
	t.Length++
	b.libs = append(b.libs, lib)
	return n
}

// breakpadID makes Breakpad's debug identifier of an ELF build ID: the first 16
// bytes as a little-endian GUID, then the age, 0. Other IDs have none.
func breakpadID(buildID string) string {
	if len(buildID) < 32 || strings.Trim(buildID[:32], "0123456789abcdefABCDEF") != "" {
		return ""
	}
	s := strings.ToUpper(buildID[:32])
	return s[6:8] + s[4:6] + s[2:4] + s[0:2] + s[10:12] + s[8:10] + s[14:16] + s[12:14] + s[16:32] + "0"
}

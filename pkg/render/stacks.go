package render

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/google/pprof/profile"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

// Bounds of a stacks document.
const (
	// DefaultNodes is how many nodes of the call tree a document has where nothing is said. More are folded.
	DefaultNodes = 1_000_000
	// stacksName is the most bytes of a name: as long as in the daemon's other JSON, so that a function has one name in all.
	stacksName = 1024
)

// StacksOptions say what a document is of. The zero value works.
type StacksOptions struct {
	Title   string // of a file
	Kind    string // "": as the default sample type is called
	Service string // "": of all
	Value   string // sample type to show first; "" is the profile's default
	// From and To are the time that was asked for; zero: as the profile says.
	From, To time.Time
	Covered  *Coverage   // nil: as the profile says
	Nodes    int         // in the call tree, besides those that say what was folded; 0: DefaultNodes
	Times    *prof.Times // nil: the document has no heatmap
}

// Coverage says what a profile that was put together is really of.
type Coverage struct {
	Seconds float64 `json:"seconds"` // without gaps
	Windows int     `json:"windows"`
	Lost    uint64  `json:"lost"`    // events of all services in that time that are in no profile
	Skipped int     `json:"skipped"` // windows that could not be read
}

// Stacks writes p as the document that the page shows: stacks as a prefix tree, threads, labels, and values in columns.
// docs/formats.md describes it. Samples that differ in nothing that it shows become one. What is below the heaviest
// nodes is folded: a node (other) of kind other stands for it, and "folded" says how much there is.
//
// It does not change p, which must be valid.
func Stacks(w io.Writer, p *profile.Profile, o StacksOptions) error {
	value, err := prof.ValueIndex(p, o.Value)
	if err != nil {
		return fmt.Errorf("write stacks: %w", err)
	}
	b := newStacksBuilder(p, value)
	b.enter()
	b.fold(cmp.Or(o.Nodes, DefaultNodes))
	sw := stacksWriter{w: bufio.NewWriterSize(w, 64<<10), b: b, o: o}
	if err := sw.write(); err != nil {
		return fmt.Errorf("write stacks: %w", err)
	}
	return nil
}

// writeStacks is the format called stacks.
func writeStacks(w io.Writer, p *profile.Profile, o Options) error {
	return Stacks(w, p, StacksOptions{Title: o.Title, Value: o.Value, Times: o.Times})
}

// stacksKinds are the names by number: those of the kinds, then that of folded nodes.
func stacksKinds() []string {
	kinds := make([]string, prof.NumKinds+1)
	for k := range prof.NumKinds {
		kinds[k] = prof.Kind(k).String()
	}
	kinds[kindFolded] = "other"
	return kinds
}

// kindFolded is the row after the kinds.
const kindFolded = prof.NumKinds

// A stacksWriter writes what a builder holds. Errors of w stay until the end.
type stacksWriter struct {
	w      *bufio.Writer
	b      *stacksBuilder
	o      StacksOptions
	number []byte
}

func (s *stacksWriter) write() error {
	if err := s.head(); err != nil {
		return err
	}
	b := s.b
	frames, nodes := b.usedFrames()
	threads := b.stringsOfThreads()
	reasons := make([]int32, len(b.samples))
	for i, x := range b.samples {
		reasons[i] = b.string(x.reason)
	}
	s.w.WriteString(`,"strings":`)
	if err := s.list(b.strings); err != nil {
		return err
	}
	s.columns("frames", []column32{
		{"name", frames.name}, {"module", frames.module}, {"file", frames.file}, {"line", frames.line},
		{"kind", frames.kind}, {"inlined", frames.inlined},
	})
	s.w.WriteString(`,"kinds":`)
	if err := s.list(stacksKinds()); err != nil {
		return err
	}
	s.columns("nodes", []column32{{"parent", nodes.parent}, {"frame", nodes.frame}})
	s.columns("threads", threads)
	if err := s.labels(); err != nil {
		return err
	}
	s.samples(reasons)
	s.times()
	fmt.Fprintf(s.w, ",\"folded\":{\"nodes\":%d,\"value\":%d}}\n", b.foldedNodes, b.foldedValue)
	return s.w.Flush()
}

// A stacksHead is the part of the document that is no table.
type stacksHead struct {
	Version    int             `json:"version"`
	Kind       string          `json:"kind"`
	Service    string          `json:"service"`
	Title      string          `json:"title,omitempty"`
	Types      []stacksType    `json:"types"`
	Default    int             `json:"default"`
	From       int64           `json:"from,omitempty"` // Unix milliseconds
	To         int64           `json:"to,omitempty"`
	Duration   int64           `json:"duration_ns,omitempty"`
	Period     int64           `json:"period,omitempty"`
	PeriodType *stacksType     `json:"period_type,omitempty"`
	Covered    *stacksCoverage `json:"covered,omitempty"`
	Comments   []string        `json:"comments"`
}

type stacksType struct {
	Type string `json:"type"`
	Unit string `json:"unit"`
}

// stacksCoverage has only what is known.
type stacksCoverage struct {
	Seconds *float64 `json:"seconds,omitempty"`
	Windows *int     `json:"windows,omitempty"`
	Lost    *uint64  `json:"lost,omitempty"`
	Skipped *int     `json:"skipped,omitempty"`
}

// head writes the document's first fields, without the brace that ends them.
func (s *stacksWriter) head() error {
	p, sum := s.b.p, prof.Summarize(s.b.p, s.b.value)
	h := stacksHead{
		Version: 1, Kind: cmp.Or(s.o.Kind, sum.Type.Type), Service: stacksText(s.o.Service), Title: stacksText(s.o.Title),
		Default: s.b.value, Duration: max(p.DurationNanos, 0), Period: max(p.Period, 0), Comments: []string{},
	}
	h.Kind = stacksText(h.Kind)
	for _, t := range p.SampleType {
		h.Types = append(h.Types, stacksType{stacksText(t.Type), stacksText(t.Unit)})
	}
	if sum.PeriodType.Type != "" && p.Period > 0 {
		h.PeriodType = &stacksType{stacksText(sum.PeriodType.Type), stacksText(sum.PeriodType.Unit)}
	}
	from, to := s.o.From, s.o.To
	if from.IsZero() && !sum.Start.IsZero() {
		from = sum.Start
		if sum.Duration > 0 {
			to = from.Add(sum.Duration)
		}
	}
	if !from.IsZero() {
		h.From = from.UnixMilli()
	}
	if !to.IsZero() {
		h.To = to.UnixMilli()
	}
	h.Covered = stacksCovered(s.o.Covered, sum)
	for _, c := range sum.Comments {
		h.Comments = append(h.Comments, stacksText(c))
	}
	if t := s.o.Times; t != nil && t.Left > 0 {
		h.Comments = append(h.Comments, fmt.Sprintf("%d events have no time: there was no room for more", t.Left))
	}
	data, err := json.Marshal(h)
	if err != nil {
		return err
	}
	s.w.Write(data[:len(data)-1])
	return nil
}

func stacksCovered(c *Coverage, sum prof.Summary) *stacksCoverage {
	if c != nil {
		return &stacksCoverage{&c.Seconds, &c.Windows, &c.Lost, &c.Skipped}
	}
	out := &stacksCoverage{}
	if sum.Duration > 0 {
		seconds := sum.Duration.Seconds()
		out.Seconds = &seconds
	}
	if sum.LostKnown && sum.Lost >= 0 {
		lost := uint64(sum.Lost)
		out.Lost = &lost
	}
	if *out == (stacksCoverage{}) {
		return nil
	}
	return out
}

// stacksText is a name as the document has it.
func stacksText(s string) string { return clean(cut(s, stacksName)) }

type column32 struct {
	name   string
	values []int32
}

func (s *stacksWriter) columns(name string, columns []column32) {
	fmt.Fprintf(s.w, ",%q:{", name)
	for i, c := range columns {
		if i > 0 {
			s.w.WriteByte(',')
		}
		fmt.Fprintf(s.w, "%q:", c.name)
		s.numbers(len(c.values), func(i int) int64 { return int64(c.values[i]) })
	}
	s.w.WriteByte('}')
}

func (s *stacksWriter) numbers(n int, at func(int) int64) {
	s.w.WriteByte('[')
	for i := range n {
		s.number = s.number[:0]
		if i > 0 {
			s.number = append(s.number, ',')
		}
		s.number = strconv.AppendInt(s.number, at(i), 10)
		s.w.Write(s.number)
	}
	s.w.WriteByte(']')
}

// list writes strings. JSON from encoding/json has no <, > or &.
func (s *stacksWriter) list(list []string) error {
	s.w.WriteByte('[')
	for i, text := range list {
		if i > 0 {
			s.w.WriteByte(',')
		}
		data, err := json.Marshal(text)
		if err != nil {
			return err
		}
		s.w.Write(data)
	}
	s.w.WriteByte(']')
	return nil
}

func (s *stacksWriter) labels() error {
	labels, err := json.Marshal(s.b.labels)
	if err != nil {
		return err
	}
	sets, err := json.Marshal(s.b.labelSets)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.w, `,"labels":%s,"labelsets":%s`, labels, sets)
	return nil
}

func (s *stacksWriter) samples(reasons []int32) {
	samples := s.b.samples
	for i, c := range []struct {
		name string
		at   func(int) int64
	}{
		{"node", func(i int) int64 { return int64(samples[i].node) }},
		{"thread", func(i int) int64 { return int64(samples[i].thread) }},
		{"label", func(i int) int64 { return int64(samples[i].labels) }},
		{"stack", func(i int) int64 { return int64(reasons[i]) }},
	} {
		s.w.WriteString([]string{`,"samples":{`, ","}[min(i, 1)])
		fmt.Fprintf(s.w, "%q:", c.name)
		s.numbers(len(samples), c.at)
	}
	s.w.WriteString(`,"values":[`)
	for t := range s.b.p.SampleType {
		if t > 0 {
			s.w.WriteByte(',')
		}
		s.numbers(len(samples), func(i int) int64 { return samples[i].values[t] })
	}
	s.w.WriteString("]}")
}

// times writes when samples were taken, in the order of time.
func (s *stacksWriter) times() {
	t := s.o.Times
	if t == nil || t.Bucket < time.Millisecond {
		return
	}
	type entry struct {
		sample, bucket int32
		value          int64
	}
	var entries []entry
	for i, sample := range s.b.p.Sample {
		for _, c := range t.Of[sample] {
			entries = append(entries, entry{s.b.sampleOf[i], c.Bucket, c.Value})
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Or(cmp.Compare(a.bucket, b.bucket), cmp.Compare(a.sample, b.sample)) })
	fmt.Fprintf(s.w, `,"times":{"bucket_ms":%d,"base":%d,"sample":`, t.Bucket.Milliseconds(), t.Base.UnixMilli())
	s.numbers(len(entries), func(i int) int64 { return int64(entries[i].sample) })
	s.w.WriteString(`,"bucket":`)
	s.numbers(len(entries), func(i int) int64 { return int64(entries[i].bucket) })
	s.w.WriteString(`,"value":`)
	s.numbers(len(entries), func(i int) int64 { return entries[i].value })
	s.w.WriteByte('}')
}

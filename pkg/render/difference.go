package render

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/google/pprof/profile"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

// A Difference is what changed from one profile to another. The values of Before are multiplied with Scale, so that spans
// of different length or load can be compared.
type Difference struct {
	Before, Now *profile.Profile
	Scale       float64

	type_              prof.ValueType
	beforeIndex, index int
}

// NewDifference compares two valid profiles by one sample type; "" is now's default, which before must have, too. scale
// is 1 where values are compared as they are.
func NewDifference(before, now *profile.Profile, value string, scale float64) (*Difference, error) {
	d := &Difference{Before: before, Now: now, Scale: scale}
	for _, p := range []*profile.Profile{before, now} {
		if err := p.CheckValid(); err != nil {
			return nil, fmt.Errorf("compare profiles: %w", err)
		}
	}
	var err error
	if d.index, err = prof.ValueIndex(now, value); err != nil {
		return nil, fmt.Errorf("compare profiles: %w", err)
	}
	t := now.SampleType[d.index]
	if d.beforeIndex, err = prof.ValueIndex(before, t.Type); err != nil {
		return nil, fmt.Errorf("compare profiles: before: %w", err)
	}
	if was := before.SampleType[d.beforeIndex]; was.Unit != t.Unit {
		return nil, fmt.Errorf("compare profiles: %s is in %s before, in %s now", t.Type, was.Unit, t.Unit)
	}
	d.type_ = prof.ValueType{Type: t.Type, Unit: t.Unit}
	return d, nil
}

// Type is what is compared.
func (d *Difference) Type() prof.ValueType { return d.type_ }

// scaled returns a value of Before as it is compared.
func (d *Difference) scaled(v int64) int64 {
	x := math.Round(float64(v) * d.Scale)
	return int64(min(max(x, math.MinInt64), math.MaxInt64/2))
}

// Sums returns what stacks have that match, before and now, each stack once. nil matches every stack. With self only the
// innermost function of a stack counts.
func (d *Difference) Sums(match func(name string) bool, self bool) (before, now int64) {
	return d.scaled(matching(d.Before, d.beforeIndex, match, self)), matching(d.Now, d.index, match, self)
}

func matching(p *profile.Profile, value int, match func(string) bool, self bool) (sum int64) {
	for _, s := range p.Sample {
		if match == nil || stackMatches(s, match, self) {
			sum = saturated(sum, s.Value[value])
		}
	}
	return sum
}

func stackMatches(s *profile.Sample, match func(string) bool, self bool) bool {
	for i, l := range s.Location {
		for j := range max(len(l.Line), 1) {
			if match(prof.Name(l, j)) {
				return true
			}
			if self && i == 0 {
				return false
			}
		}
	}
	return false
}

// Profile returns now less before: what became less is negative, as `go tool pprof -base` shows it. It changes neither
// profile.
func (d *Difference) Profile() (*profile.Profile, error) {
	minus := d.Before.Copy()
	minus.Scale(-d.Scale)
	if len(minus.Sample) == 0 {
		return d.Now, nil
	}
	if len(d.Now.Sample) == 0 {
		return minus, nil
	}
	merged, err := profile.Merge([]*profile.Profile{d.Now, minus})
	if err != nil {
		return nil, fmt.Errorf("subtract base: %w", err)
	}
	return merged, nil
}

// DifferenceFormats are the names that Write knows besides html, the first for people in a terminal.
func DifferenceFormats() []string { return []string{"txt", "svg", "html", "folded", "pprof", "json"} }

// Write writes the difference in a format, of DifferenceFormats.
func (d *Difference) Write(w io.Writer, format string, o Options) error {
	switch format {
	case "txt":
		return d.writeText(w, o)
	case "json":
		return d.writeJSON(w)
	case "folded":
		return d.writeFolded(w)
	case "svg":
		return d.writeSVG(w, o)
	case "html":
		o.Base, o.Value = d.Before, d.type_.Type
		return Write(w, F{Name: "html", write: writeHTML}, d.Now, o)
	case "pprof":
		p, err := d.Profile()
		if err != nil {
			return err
		}
		return p.Write(w)
	}
	return fmt.Errorf("write difference: no format %q; known are %s", format, strings.Join(DifferenceFormats(), ", "))
}

// writeFolded writes lines "stack before now", sorted by stack.
func (d *Difference) writeFolded(w io.Writer) error {
	now, err := foldedLines(d.Now, d.index)
	if err != nil {
		return err
	}
	before, err := foldedLines(d.Before, d.beforeIndex)
	if err != nil {
		return err
	}
	bw := bufio.NewWriter(w)
	for len(now) > 0 || len(before) > 0 {
		var old, new int64
		stack := ""
		order := 0
		switch {
		case len(now) == 0:
			order = 1
		case len(before) == 0:
			order = -1
		default:
			order = strings.Compare(now[0].stack, before[0].stack)
		}
		if order <= 0 {
			stack, new, now = now[0].stack, now[0].n, now[1:]
		}
		if order >= 0 {
			stack, old, before = before[0].stack, before[0].n, before[1:]
		}
		fmt.Fprintf(bw, "%s %d %d\n", stack, d.scaled(old), new)
	}
	return bw.Flush()
}

type foldedLine struct {
	stack string
	n     int64
}

// foldedLines returns p folded: sorted, each stack once. Where samples count periods of the value, they are what is
// counted, as in the format.
func foldedLines(p *profile.Profile, value int) ([]foldedLine, error) {
	o := Options{}
	if i, err := prof.ValueIndex(p, ""); err != nil || i != value {
		o.Value = p.SampleType[value].Type
	}
	var b bytes.Buffer
	if err := writeFolded(&b, p, o); err != nil {
		return nil, err
	}
	var lines []foldedLine
	for line := range strings.Lines(b.String()) {
		line = strings.TrimSuffix(line, "\n")
		i := strings.LastIndexByte(line, ' ')
		n, err := strconv.ParseInt(line[i+1:], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read folded stack: %w", err)
		}
		lines = append(lines, foldedLine{line[:max(i, 0)], n})
	}
	return lines, nil
}

// writeJSON writes every function that is in one of the profiles, those that changed most first.
func (d *Difference) writeJSON(w io.Writer) error {
	type function struct {
		Name        string `json:"name"`
		Module      string `json:"module"`
		Kind        string `json:"kind"`
		Self        int64  `json:"self"`
		Total       int64  `json:"total"`
		BeforeSelf  int64  `json:"before_self"` // scaled
		BeforeTotal int64  `json:"before_total"`
	}
	out := struct {
		Type      string     `json:"type"`
		Unit      string     `json:"unit"`
		Scale     float64    `json:"scale"`
		Total     int64      `json:"total"`
		Before    int64      `json:"before"` // scaled
		Functions []function `json:"functions"`
	}{Type: clean(d.type_.Type), Unit: clean(d.type_.Unit), Scale: d.Scale, Functions: []function{}}
	out.Before, out.Total = d.Sums(nil, false)
	for _, r := range d.rows() {
		out.Functions = append(out.Functions, function{clean(r.Name), clean(r.Module), r.Kind.String(), r.self, r.total, r.beforeSelf, r.beforeTotal})
	}
	return json.NewEncoder(w).Encode(out)
}

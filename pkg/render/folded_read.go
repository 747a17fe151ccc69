package render

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/google/pprof/profile"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

// Limits of what is read as a profile. They bound memory, not use: a real file is
// far below them.
const (
	maxStack = 16 << 10 // frames in one stack
	maxInput = 1 << 30  // bytes, after decompression
)

// readFolded parses one stack a line, from the root to the leaf. A line that does
// not end in a number counts once. Suffixes _[k] and _[j] make kernel and JIT
// frames, _[i] is dropped; a name in brackets makes a marker.
func readFolded(data []byte) (*profile.Profile, error) {
	b := prof.NewBuilder(prof.BuilderOptions{
		SampleTypes: []prof.ValueType{{Type: "samples", Unit: "count"}},
		PeriodType:  prof.ValueType{Type: "samples", Unit: "count"},
		Period:      1,
	})
	samples, told := 0, false // told: a line looks like a stack
	var locs []*profile.Location
	for number := 1; len(data) > 0; number++ {
		line := data
		if i := bytes.IndexByte(data, '\n'); i >= 0 {
			line, data = data[:i], data[i+1:]
		} else {
			data = nil
		}
		stack, count, err := splitCount(string(bytes.TrimSpace(line)))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if n := strings.Count(stack, ";"); n >= maxStack {
			return nil, fmt.Errorf("line %d: stack of %d frames; at most %d are read", number, n+1, maxStack)
		}
		locs = foldedLocations(b, locs[:0], stack)
		if len(locs) == 0 {
			continue
		}
		told = told || len(locs) > 1 || len(stack) < len(bytes.TrimSpace(line))
		b.Sample(locs, prof.Labels{}, count)
		samples++
	}
	if samples == 0 {
		return nil, fmt.Errorf("no stack in any line")
	}
	if !told {
		return nil, fmt.Errorf("no line has a count or a ';': these are no folded stacks")
	}
	return b.Profile(), nil
}

// splitCount splits "a;b;c 12" at the last space, if a number follows it.
// Fractions, which some collapsers write, are rounded.
func splitCount(line string) (string, int64, error) {
	i := strings.LastIndexAny(line, " \t")
	if i < 0 {
		return line, 1, nil
	}
	tail := line[i+1:]
	if tail[0] != '-' && (tail[0] < '0' || tail[0] > '9') {
		return line, 1, nil
	}
	x, err := strconv.ParseFloat(tail, 64)
	if err != nil {
		return line, 1, nil
	}
	stack := strings.TrimRight(line[:i], " \t")
	if n, err := strconv.ParseInt(tail, 10, 64); err == nil {
		return stack, n, nil
	}
	if math.Abs(x) >= math.MaxInt64 {
		return "", 0, fmt.Errorf("count %.32s is out of range", tail)
	}
	return stack, int64(math.Round(x)), nil
}

// foldedLocations appends the frames of stack to locs, the leaf first.
func foldedLocations(b *prof.Builder, locs []*profile.Location, stack string) []*profile.Location {
	for stack != "" {
		i := strings.LastIndexByte(stack, ';')
		name := strings.TrimSpace(stack[i+1:])
		stack = stack[:max(i, 0)]
		if name != "" {
			locs = append(locs, foldedLocation(b, name))
		}
	}
	return locs
}

func foldedLocation(b *prof.Builder, name string) *profile.Location {
	m := prof.Mapping{}
	if rest, ok := strings.CutSuffix(name, kernelSuffix); ok && rest != "" {
		m.File, name = prof.KernelMapping, rest
	} else if rest, ok := strings.CutSuffix(name, jitSuffix); ok && rest != "" {
		m.File, name = prof.JITMapping, rest
	} else if rest, ok := strings.CutSuffix(name, inlinedSuffix); ok && rest != "" {
		name = rest
	}
	return b.Location(m, 0, []prof.Frame{{Name: name}})
}

package render

import (
	"bufio"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/google/pprof/profile"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

// Suffixes by which folded stacks tell kinds of frames apart, by the convention
// of perf's collapsers.
const (
	kernelSuffix  = "_[k]"
	jitSuffix     = "_[j]"
	inlinedSuffix = "_[i]"
)

// writeFolded writes one line per distinct stack, sorted: the thread name, if the
// profile has them, then frames from the root to the leaf, all separated by
// semicolons, then a space and a whole number. A semicolon inside a name becomes
// a colon. Kernel and JIT frames carry a suffix.
//
// The number counts samples where samples stand for one period each of the
// default value, as perf's collapsers have it; otherwise, such as for off-CPU time
// or memory, it is the default value itself in its own unit.
func writeFolded(w io.Writer, p *profile.Profile, o Options) error {
	value := foldedValue(p, o)
	type line struct {
		stack string
		n     int64
	}
	lines := make([]line, 0, len(p.Sample))
	names := make(map[*profile.Location][]string, len(p.Location))
	var b strings.Builder
	for _, s := range p.Sample {
		if s.Value[value] == 0 {
			continue
		}
		b.Reset()
		b.WriteString(foldedName(prof.Comm(s)))
		for i := len(s.Location) - 1; i >= 0; i-- {
			l := s.Location[i]
			frames, ok := names[l]
			if !ok {
				frames = foldedFrames(l)
				names[l] = frames
			}
			for _, f := range frames {
				if b.Len() > 0 {
					b.WriteByte(';')
				}
				b.WriteString(f)
			}
		}
		if b.Len() == 0 {
			b.WriteString("[no stack]")
		}
		lines = append(lines, line{b.String(), s.Value[value]})
	}
	slices.SortFunc(lines, func(x, y line) int { return strings.Compare(x.stack, y.stack) })
	bw := bufio.NewWriter(w)
	for i := 0; i < len(lines); {
		sum, j := int64(0), i
		for ; j < len(lines) && lines[j].stack == lines[i].stack; j++ {
			sum += lines[j].n
		}
		bw.WriteString(lines[i].stack)
		bw.WriteByte(' ')
		bw.WriteString(strconv.FormatInt(sum, 10))
		bw.WriteByte('\n')
		i = j
	}
	return bw.Flush()
}

func foldedValue(p *profile.Profile, o Options) int {
	value := valueIndex(p, o)
	t := p.SampleType[value]
	periodic := p.Period > 0 && p.PeriodType != nil && p.PeriodType.Type == t.Type && p.PeriodType.Unit == t.Unit
	if count := prof.CountIndex(p); o.Value == "" && count >= 0 && periodic {
		return count
	}
	return value
}

// foldedFrames returns the frames of l, the outermost first.
func foldedFrames(l *profile.Location) []string {
	frames := make([]string, max(len(l.Line), 1))
	for i := range frames {
		name := foldedName(prof.Name(l, i))
		suffix := ""
		switch prof.KindOf(l, i) {
		case prof.KindKernel:
			suffix = kernelSuffix
		case prof.KindJIT:
			suffix = jitSuffix
		}
		if !strings.HasSuffix(name, suffix) {
			name += suffix
		}
		frames[len(frames)-1-i] = name
	}
	return frames
}

func foldedName(name string) string {
	return strings.TrimSpace(strings.ReplaceAll(clean(name), ";", ":"))
}

package render

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

// maxName is the most bytes of a name that any text output shows. Longer ones are
// cut: they are generated, and a file must not grow by what a target calls itself.
const maxName = 2048

// clean returns name without anything that could act on a terminal, break a line
// or be illegal in XML: control characters become their visible pictures, format
// characters (such as those that reverse the direction of text) U+FFFD.
func clean(name string) string {
	name = cut(name, maxName)
	if !strings.ContainsFunc(name, unsafeRune) {
		return name
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r < 0x20:
			return 0x2400 + r
		case r == 0x7f:
			return 0x2421
		case unsafeRune(r):
			return utf8.RuneError
		}
		return r
	}, name)
}

func unsafeRune(r rune) bool {
	if r < utf8.RuneSelf {
		return r < 0x20 || r == 0x7f
	}
	return r == utf8.RuneError || r&0xfffe == 0xfffe || !unicode.IsGraphic(r)
}

// cut shortens s to at most n bytes at a rune's boundary and says so.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	n -= len("…")
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// A scale is a unit with the number of base units in one of it.
type scale struct {
	unit string
	size float64
}

var (
	timeScales = [...]scale{{"s", 1e9}, {"ms", 1e6}, {"µs", 1e3}, {"ns", 1}}
	byteScales = [...]scale{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}
)

// scaleFor returns the largest unit in which v is at least 1.
func scaleFor(v int64, unit string) scale {
	var scales []scale
	switch unit {
	case "nanoseconds":
		scales = timeScales[:]
	case "bytes":
		scales = byteScales[:]
	case "count", "":
		return scale{"", 1}
	default:
		return scale{cut(clean(unit), 32), 1}
	}
	for _, s := range scales {
		if abs(v) >= s.size {
			return s
		}
	}
	return scales[len(scales)-1]
}

func abs(v int64) float64 {
	if v < 0 {
		return -float64(v)
	}
	return float64(v)
}

// quantity writes v for people, such as "1.23 s", "4.00 KiB" or "12,345".
func quantity(v int64, unit string) string {
	s := scaleFor(v, unit)
	n := grouped(v)
	if s.size > 1 {
		n = significant(float64(v) / s.size)
	}
	if s.unit == "" {
		return n
	}
	return n + " " + s.unit
}

// significant writes x with three significant digits but never fewer than its
// integer part.
func significant(x float64) string {
	switch a := max(x, -x); {
	case a >= 99.95:
		return strconv.FormatFloat(x, 'f', 0, 64)
	case a >= 9.995:
		return strconv.FormatFloat(x, 'f', 1, 64)
	}
	return strconv.FormatFloat(x, 'f', 2, 64)
}

// grouped writes v with commas between thousands.
func grouped(v int64) string {
	s := strconv.FormatInt(v, 10)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// percent writes part of whole, without the words that must follow: of what.
func percent(part, whole int64) string {
	if part == 0 || whole == 0 {
		return "0%"
	}
	x := 100 * float64(part) / float64(whole)
	if a := max(x, -x); a < 0.01 {
		return "<0.01%"
	} else if a < 9.995 {
		return fmt.Sprintf("%.2f%%", x)
	}
	return fmt.Sprintf("%.1f%%", x)
}

// valueTitle names what a sample type measures.
func valueTitle(t prof.ValueType) string {
	switch t.Type {
	case "cpu":
		return "CPU time"
	case "off_cpu":
		return "Off-CPU time"
	case "samples":
		return "Samples"
	case "alloc_space":
		return "Allocated memory"
	case "alloc_objects":
		return "Allocations"
	case "inuse_space":
		return "Memory in use"
	case "inuse_objects":
		return "Objects in use"
	}
	title := []rune(strings.ReplaceAll(cut(clean(t.Type), 64), "_", " "))
	if len(title) == 0 {
		return "Profile"
	}
	title[0] = unicode.ToUpper(title[0])
	return string(title)
}

// facts returns what must be known to trust the numbers, one statement each.
func facts(s prof.Summary) []string {
	out := []string{cut(clean(s.Type.Type+"/"+s.Type.Unit), 64)}
	if s.Duration > 0 {
		window := "window " + s.Duration.Round(time.Millisecond).String()
		if !s.Start.IsZero() {
			window += " from " + s.Start.Format(time.RFC3339)
		}
		out = append(out, window)
	}
	samples := grouped(s.Samples) + " samples"
	if s.Period > 0 && s.PeriodType.Type != "" {
		samples += ", one per " + quantity(s.Period, s.PeriodType.Unit)
		if s.PeriodType != s.Type {
			samples += " of " + cut(clean(s.PeriodType.Type), 64)
		}
	}
	out = append(out, samples)
	if s.LostKnown {
		out = append(out, fmt.Sprintf("lost %s (%s of fired)", grouped(s.Lost), percent(s.Lost, s.Samples+s.Lost)))
	} else {
		out = append(out, "lost: not recorded")
	}
	return append(out, fmt.Sprintf("incomplete stacks %s (%s of samples)", grouped(s.Incomplete), percent(s.Incomplete, s.Samples)))
}

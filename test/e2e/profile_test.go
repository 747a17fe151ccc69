package e2e

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	pprof "github.com/google/pprof/profile"
)

// A want chooses samples of a profile.
type want func(*pprof.Sample) bool

func every(*pprof.Sample) bool { return true }

// in chooses stacks with one of these functions anywhere in them.
func in(functions ...string) want {
	return func(s *pprof.Sample) bool {
		return slices.ContainsFunc(s.Location, func(l *pprof.Location) bool { return hasFunction(l, functions...) })
	}
}

func hasFunction(l *pprof.Location, functions ...string) bool {
	return slices.ContainsFunc(l.Line, func(line pprof.Line) bool { return slices.Contains(functions, line.Function.Name) })
}

// inSplit chooses stacks in any of the functions of the target program split.
func inSplit(s *pprof.Sample) bool { return in(splitFunctions()...)(s) }

func splitFunctions() []string { return []string{"heavy", "medium", "light"} }

// comm chooses samples of threads whose name matches.
func comm(pattern string) want {
	re := regexp.MustCompile("^(" + pattern + ")$")
	return func(s *pprof.Sample) bool { return len(s.Label["comm"]) == 1 && re.MatchString(s.Label["comm"][0]) }
}

// pid chooses samples of these processes.
func pid(pids ...int) want {
	return func(s *pprof.Sample) bool {
		return len(s.NumLabel["pid"]) == 1 && slices.Contains(pids, int(s.NumLabel["pid"][0]))
	}
}

func not(w want) want { return func(s *pprof.Sample) bool { return !w(s) } }

func and(a, b want) want { return func(s *pprof.Sample) bool { return a(s) && b(s) } }

func isKernel(l *pprof.Location) bool { return l.Mapping != nil && l.Mapping.File == "[kernel]" }

// isMarker tells the frames that stand for no code, such as [truncated].
func isMarker(l *pprof.Location) bool { return l.Mapping == nil && l.Address == 0 }

// isNamed tells whether a frame has a function's name: one in brackets is none.
func isNamed(l *pprof.Location) bool {
	return len(l.Line) > 0 && l.Line[0].Function.Name != "" && !strings.HasPrefix(l.Line[0].Function.Name, "[")
}

// count adds up the samples that w chooses.
func (r *recording) count(w want) (n int64) { return countIn(r.profile, w) }

func countIn(p *pprof.Profile, w want) (n int64) {
	for _, s := range p.Sample {
		if w(s) {
			n += s.Value[0]
		}
	}
	return n
}

// cpuSeconds adds up the time of the samples that w chooses.
func (r *recording) cpuSeconds(w want) float64 {
	var n int64
	for _, s := range r.profile.Sample {
		if w(s) {
			n += s.Value[1]
		}
	}
	return float64(n) / 1e9
}

// values returns the distinct values of a numeric label of the samples that w chooses.
func (r *recording) values(label string, w want) []int64 {
	var out []int64
	for _, s := range r.profile.Sample {
		if w(s) {
			out = append(out, s.NumLabel[label]...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// names counts the samples that w chooses by the value of a label.
func (r *recording) names(label string, w want) map[string]int64 {
	out := map[string]int64{}
	for _, s := range r.profile.Sample {
		if w(s) {
			out[strings.Join(s.Label[label], ",")] += s.Value[0]
		}
	}
	return out
}

// functions counts samples by the named functions on their stacks whose object's base
// name matches, each function once for each stack.
func (r *recording) functions(object string, w want) map[string]int64 {
	out := map[string]int64{}
	for _, s := range r.profile.Sample {
		if !w(s) {
			continue
		}
		var seen []string
		for _, l := range s.Location {
			if l.Mapping == nil || !isNamed(l) || path.Base(l.Mapping.File) != object {
				continue
			}
			for _, line := range l.Line {
				if name := line.Function.Name; !slices.Contains(seen, name) {
					seen = append(seen, name)
					out[name] += s.Value[0]
				}
			}
		}
	}
	return out
}

// some fails the test when fewer than min samples are chosen.
func (r *recording) some(t *testing.T, what string, min int64, w want) {
	t.Helper()
	if n := r.count(w); n < min {
		t.Errorf("%s: %d samples, want at least %d; threads: %v", what, n, min, r.names("comm", every))
	} else {
		t.Logf("%s: %d samples", what, n)
	}
}

// none fails the test when any sample is chosen.
func (r *recording) none(t *testing.T, what string, w want) {
	t.Helper()
	if n := r.count(w); n != 0 {
		t.Errorf("%s: %d samples, want none; threads: %v", what, n, r.names("comm", w))
	}
}

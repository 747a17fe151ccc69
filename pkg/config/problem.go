package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Problem is one thing that is wrong with a configuration.
type Problem struct {
	Line int    // in the file, from 1; 0 when the value is not from the file
	Key  string // such as "store.dir" or "services[2].match"; "" for the file as a whole
	Text string // what is wrong and what to write instead; never a secret
}

func (p Problem) Error() string {
	s := p.Text
	if p.Key != "" {
		s = p.Key + ": " + s
	}
	if p.Line > 0 {
		s = fmt.Sprintf("line %d: %s", p.Line, s)
	}
	return s
}

// Problems is the error of Parse, Load and Validate: all that is wrong, in the order of the file. It is never empty.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.Error()
	}
	return strings.Join(lines, "\n")
}

// err is nil when nothing is wrong.
func (p Problems) err() error {
	if len(p) == 0 {
		return nil
	}
	slices.SortStableFunc(p, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return p
}

// add notes one problem.
func (p *Problems) add(line int, key, format string, args ...any) {
	*p = append(*p, Problem{line, key, fmt.Sprintf(format, args...)})
}

// locate gives problems without a line that of their key, or of the closest key above it that the file has.
func (p Problems) locate(lines map[string]int) {
	for i := range p {
		if p[i].Line > 0 {
			continue
		}
		for key := p[i].Key; key != ""; key = key[:max(0, strings.LastIndexAny(key, ".["))] {
			if line, ok := lines[key]; ok {
				p[i].Line = line
				break
			}
		}
	}
}

// without leaves out problems with keys above or below those that others are about: what could not be read is missing,
// and that is no second mistake.
func (p Problems) without(others Problems) Problems {
	within := func(key, other string) bool {
		rest, ok := strings.CutPrefix(key, other)
		return ok && other != "" && (rest == "" || rest[0] == '.' || rest[0] == '[')
	}
	return slices.DeleteFunc(p, func(problem Problem) bool {
		return slices.ContainsFunc(others, func(o Problem) bool { return within(problem.Key, o.Key) || within(o.Key, problem.Key) })
	})
}

package store

import (
	"fmt"
	"regexp"
)

// A Matcher is a condition on a label of a series. A label that is not there counts as "".
type Matcher struct {
	Label string
	Op    string // "=", "!=", "=~" or "!~"; a regular expression must match the whole value
	Value string
}

// compile returns a function that tells whether a series' labels meet all conditions.
func compile(matchers []Matcher) (func(labels map[string]string) bool, error) {
	tests := make([]func(string) bool, len(matchers))
	for i, m := range matchers {
		switch m.Op {
		case "=":
			tests[i] = func(v string) bool { return v == m.Value }
		case "!=":
			tests[i] = func(v string) bool { return v != m.Value }
		case "=~", "!~":
			re, err := regexp.Compile("^(?:" + m.Value + ")$")
			if err != nil {
				return nil, fmt.Errorf("match label %s: %w", m.Label, err)
			}
			tests[i] = func(v string) bool { return re.MatchString(v) == (m.Op == "=~") }
		default:
			return nil, fmt.Errorf("match label %s: %q is none of =, !=, =~, !~", m.Label, m.Op)
		}
	}
	return func(labels map[string]string) bool {
		for i, m := range matchers {
			if !tests[i](labels[m.Label]) {
				return false
			}
		}
		return true
	}, nil
}

package main

import (
	"math"
	"regexp"
	"strconv"
	"strings"
)

// A limit is one expression of --fail-if: WHAT OP AMOUNT.
type limit struct {
	text     string
	match    func(function string) bool // nil: everything
	self     bool
	op       string
	amount   float64
	relative bool   // amount is of the change, else of what there is now
	unit     string // "%", "nanoseconds", "bytes", or "" for the profile's own
}

var limitSyntax = regexp.MustCompile(`^\s*(self\s+)?(.+?)\s*(>=|<=|>|<)\s*([+-]?)([0-9]*\.?[0-9]+)\s*(%|[A-Za-zµ]*)\s*$`)

// limitUnits are the units of an amount: the profile's that they fit, and how many of these they are.
func limitUnits() map[string]struct {
	unit string
	size float64
} {
	type u = struct {
		unit string
		size float64
	}
	return map[string]u{
		"": {"", 1}, "%": {"%", 1},
		"ns": {"nanoseconds", 1}, "us": {"nanoseconds", 1e3}, "µs": {"nanoseconds", 1e3}, "ms": {"nanoseconds", 1e6},
		"s": {"nanoseconds", 1e9}, "m": {"nanoseconds", 60e9}, "h": {"nanoseconds", 3600e9},
		"B": {"bytes", 1}, "KiB": {"bytes", 1 << 10}, "MiB": {"bytes", 1 << 20}, "GiB": {"bytes", 1 << 30}, "TiB": {"bytes", 1 << 40},
		"kB": {"bytes", 1e3}, "KB": {"bytes", 1e3}, "MB": {"bytes", 1e6}, "GB": {"bytes", 1e9},
	}
}

// parseLimit reads an expression. A function's name may have what is else an operator in it: the last one counts.
func parseLimit(s string) (limit, error) {
	m := limitSyntax.FindStringSubmatch(lastOperator(s))
	if m == nil {
		return limit{}, usageError("--fail-if %q: want WHAT OP AMOUNT, such as 'total > +5%%' or 'self /^json/ > +20ms'", s)
	}
	m[2] = strings.ReplaceAll(strings.ReplaceAll(m[2], "\x01", "<"), "\x02", ">")
	l := limit{text: strings.TrimSpace(s), self: m[1] != "", op: m[3], relative: m[4] != ""}
	switch what := m[2]; {
	case what == "total":
		if l.self {
			return limit{}, usageError("--fail-if %q: self is of a function", s)
		}
	case len(what) > 1 && what[0] == '/' && what[len(what)-1] == '/':
		re, err := regexp.Compile(what[1 : len(what)-1])
		if err != nil {
			return limit{}, usageError("--fail-if %q: %w", s, err)
		}
		l.match = re.MatchString
	default:
		l.match = func(function string) bool { return function == what }
	}
	var err error
	if l.amount, err = strconv.ParseFloat(m[5], 64); err != nil || math.IsInf(l.amount, 0) {
		return limit{}, usageError("--fail-if %q: %q is no number", s, m[5])
	}
	unit, ok := limitUnits()[m[6]]
	if !ok {
		return limit{}, usageError("--fail-if %q: unknown unit %q; known are %%, ns, us, ms, s, m, h, B, KiB, MiB, GiB", s, m[6])
	}
	l.unit, l.amount = unit.unit, l.amount*unit.size
	if m[4] == "-" {
		l.amount = -l.amount
	}
	if l.unit == "%" && !l.relative {
		return limit{}, usageError("--fail-if %q: a percentage is of a change: write +%s%% or -%s%%", s, m[5], m[5])
	}
	return l, nil
}

// lastOperator hides the < and > of names such as operator<< and vector<int> from the syntax: all but those of the last
// operator.
func lastOperator(s string) string {
	end := strings.LastIndexAny(s, "<>")
	if end < 0 {
		return s
	}
	return strings.NewReplacer("<", "\x01", ">", "\x02").Replace(s[:end]) + s[end:]
}

// fits refuses a unit that is not the profile's.
func (l limit) fits(unit string) error {
	if l.unit == "" || l.unit == "%" || l.unit == unit {
		return nil
	}
	return usageError("--fail-if %q: the profiles are in %s", l.text, unit)
}

// holds tells whether what was and is makes the expression true. What was not there before is infinitely more now.
func (l limit) holds(before, now int64) bool {
	x := float64(now)
	if l.relative {
		x -= float64(before)
	}
	if l.unit == "%" && x != 0 {
		x = 100 * x / math.Abs(float64(before))
	}
	switch l.op {
	case ">":
		return x > l.amount
	case ">=":
		return x >= l.amount
	case "<":
		return x < l.amount
	}
	return x <= l.amount
}

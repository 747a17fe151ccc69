package perfevent

import "strings"

// Quotient divides two scaled counts; ok is false if one is not known, or there is nothing to divide by.
func Quotient(a, b Count) (q float64, ok bool) {
	x, okA := a.Scaled()
	y, okB := b.Scaled()
	if !okA || !okB || y == 0 {
		return 0, false
	}
	return x / y, true
}

// Base returns the event that another is a part of, or is compared with, "" if there is none: of misses, what they are
// misses of; of instructions, cycles.
func Base(name string) string {
	switch alias(name) {
	case "instructions":
		return "cycles"
	case "cache-misses":
		return "cache-references"
	case "branch-misses":
		return "branches"
	}
	for _, op := range []string{"load", "store", "prefetch"} {
		if unit, ok := strings.CutSuffix(name, "-"+op+"-misses"); ok {
			return unit + "-" + map[string]string{"load": "loads", "store": "stores", "prefetch": "prefetches"}[op]
		}
	}
	return ""
}

package config

import (
	"fmt"
	"strings"
)

// suggestion says what may have been meant by an unknown key below parent: a sibling that differs little, or the same
// key elsewhere. It is "" or begins with a semicolon.
func suggestion(name, parent string, siblings []string) string {
	if near := nearest(name, siblings); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	for _, f := range Fields() {
		if f.Key == name || strings.HasSuffix(f.Key, "."+name) || parent == "" && f.Flag == strings.ReplaceAll(name, "_", "-") {
			return fmt.Sprintf("; did you mean %q?", f.Key)
		}
	}
	if len(siblings) > 0 && len(siblings) <= 12 {
		return "; known here: " + strings.Join(siblings, ", ")
	}
	return ""
}

// nearest returns the candidate that needs the fewest edits to become name, "" if all need too many.
func nearest(name string, candidates []string) string {
	const longest = 64 // no key is longer
	if len(name) > longest {
		return ""
	}
	best, least := "", 2+len(name)/4
	for _, c := range candidates {
		if d := distance(strings.ToLower(name), c); d < least {
			best, least = c, d
		}
	}
	return best
}

// distance is Levenshtein's, in bytes, where swapping two neighbours is one edit.
func distance(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(row[j]+cost, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}

package export

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Pyroscope's limits on the labels of a series (validation.max-label-names-per-series, max-length-label-name,
// max-length-label-value).
const (
	maxLabels     = 30
	maxLabelName  = 1024
	maxLabelValue = 2048
)

// maxText bounds one string of a profile. C++ has names of several kilobytes; what is longer tells nobody more.
const maxText = 16 << 10

// Labels with a meaning for the server. All others that begin with two underscores are its own.
const (
	nameLabel    = "__name__"
	deltaLabel   = "__delta__" // "false": values are those of the interval itself, nothing must be subtracted
	serviceLabel = "service_name"
)

type label struct{ name, value string }

// seriesLabels returns what names a series, sorted by name: own first, then service, then extra where a name is
// free. It returns how many labels there was no room for.
func seriesLabels(own []label, service, extra map[string]string) (labels []label, dropped int) {
	labels = slices.Clone(own)
	for _, from := range []map[string]string{service, extra} {
		for _, key := range slices.Sorted(maps.Keys(from)) {
			l := label{labelName(key), limit(from[key], maxLabelValue)}
			switch {
			case l.value == "" || strings.HasPrefix(l.name, "__"):
				// An empty value is no label, and reserved names are set above or not at all.
			case slices.ContainsFunc(labels, func(have label) bool { return have.name == l.name }):
			case len(labels) == maxLabels:
				dropped++
			default:
				labels = append(labels, l)
			}
		}
	}
	slices.SortFunc(labels, func(a, b label) int { return strings.Compare(a.name, b.name) })
	return labels, dropped
}

// labelName makes a name [a-zA-Z_][a-zA-Z0-9_]*: servers before 2026 refuse a profile for a dot or a dash.
func labelName(s string) string {
	name := strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, s)
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		name = "_" + name
	}
	return name[:min(len(name), maxLabelName)]
}

// limit makes s valid UTF-8 of at most n bytes.
func limit(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// metricName is the __name__ of a kind of event, by which Pyroscope's users know it.
func metricName(kind string) string {
	switch kind {
	case "cpu":
		return "process_cpu"
	case "heap", "alloc", "alloc_space", "inuse_space":
		return "memory"
	}
	return labelName(kind)
}

package agent

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

// An Identity is what a process belongs to, and how much of it is sampled.
type Identity struct {
	Service   string
	Labels    map[string]string // of profile.Series; not changed after it was returned
	Container string            // full ID, "" outside of one
	// Fraction of its samples that are kept, in (0, 1]; 0 is 1. Those kept stand for the others, so totals hold.
	Fraction float64
	Drop     bool // keep none, and count it as no target
	OK       bool // false: the process had gone, or its number is another's by now
}

// An Identifier tells of a process, named by its number and its start time (field 22 of /proc/PID/stat).
type Identifier func(pid int, startTicks uint64) Identity

// IdentifyByProc is the Identifier that knows no rules: every process belongs to its container, unit or executable.
func IdentifyByProc(fs proc.FS) Identifier {
	return func(pid int, startTicks uint64) Identity {
		info, err := fs.Process(pid)
		if err != nil || info.StartTicks != startTicks {
			return Identity{}
		}
		service, container := fs.Service(pid)
		return Identity{Service: service, Container: container, OK: service != ""}
	}
}

// A series is profile.Series without its kind.
type series struct {
	service string
	labels  map[string]string
	key     string // equal for equal series
	guessed bool   // service is a thread's name, for want of a better one
}

// seriesKey joins a service and its labels unambiguously: neither holds a NUL.
func seriesKey(service string, labels map[string]string) string {
	if len(labels) == 0 {
		return service
	}
	var b strings.Builder
	b.WriteString(service)
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		b.WriteString("\x00" + k + "\x00" + labels[k])
	}
	return b.String()
}

func compareSeries(a, b series) int {
	return cmp.Or(strings.Compare(a.service, b.service), strings.Compare(a.key, b.key))
}

// seriesTable numbers series.
type seriesTable struct {
	ids   map[string]uint32
	list  []series
	limit int // 0: none
}

func newSeriesTable() *seriesTable { return &seriesTable{ids: map[string]uint32{}} }

// add returns the number of a series; what has no room is in one service.
func (t *seriesTable) add(service string, labels map[string]string, guessed bool) uint32 {
	key := seriesKey(service, labels)
	if id, ok := t.ids[key]; ok {
		return id
	}
	if t.limit > 0 && len(t.list) >= t.limit {
		service, labels, key, guessed = otherName, nil, otherName, false
		if id, ok := t.ids[key]; ok {
			return id
		}
	}
	id := uint32(len(t.list))
	t.list = append(t.list, series{service: service, labels: labels, key: key, guessed: guessed})
	t.ids[key] = id
	return id
}

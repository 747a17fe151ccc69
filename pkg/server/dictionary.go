package server

import (
	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// A dictionary numbers what a live stream has told its reader already, and collects what it has to tell next.
type dictionary struct {
	limit   int
	strings map[string]int64
	frames  map[frameKey]int64
	nodes   map[nodeKey]int64
	threads map[threadKey]int64
	labels  map[labelNode]int64
	bytes   int // of strings

	// Short ways to what is above, for what was met lately: the feed cannot reclaim what they hold.
	stacks    map[*profile.LiveStack]int64
	locations map[*profile.LiveLocation][]int64 // frames, innermost first
	sets      map[profile.Extra]int64

	news increments
}

// increments are entries that the reader does not know yet, in groups as docs/api.md has them.
type increments struct {
	Strings []string `json:"strings,omitempty"`
	Frames  []int64  `json:"frames,omitempty"`  // name, module, kind, file, line
	Nodes   []int64  `json:"nodes,omitempty"`   // parent, frame
	Threads []int64  `json:"threads,omitempty"` // service, comm, pid, tid, container
	Labels  []int64  `json:"labels,omitempty"`  // parent, key, value
	bytes   int      // of strings
}

type (
	frameKey struct{ name, module, kind, file, line int64 }
	nodeKey  struct{ parent, frame int64 }
	// A labelNode is a set of labels: another set and one more.
	labelNode struct{ parent, key, value int64 }
	// A threadKey has names as they are: two that are equal once cut are still two.
	threadKey struct {
		service, comm, container string
		pid, tid                 int
	}
)

// Bounds of a dictionary, besides its limit.
const (
	maxDictionaryBytes = 8 << 20  // of strings
	maxShortWays       = 16 << 10 // of each kind
)

func newDictionary(limit int) *dictionary {
	d := &dictionary{limit: limit}
	d.reset()
	return d
}

func (d *dictionary) reset() {
	*d = dictionary{
		limit:   d.limit,
		strings: make(map[string]int64), frames: make(map[frameKey]int64), nodes: make(map[nodeKey]int64),
		threads: make(map[threadKey]int64), labels: make(map[labelNode]int64),
		stacks: make(map[*profile.LiveStack]int64), locations: make(map[*profile.LiveLocation][]int64), sets: make(map[profile.Extra]int64),
	}
}

// full tells that no more should be added. A stack can go beyond the limit by its own frames only.
func (d *dictionary) full() bool {
	return len(d.strings) >= d.limit || len(d.frames) >= d.limit || len(d.nodes) >= d.limit ||
		len(d.threads) >= d.limit || len(d.labels) >= d.limit || d.bytes >= maxDictionaryBytes
}

// take returns the increments so far and begins new ones.
func (d *dictionary) take() increments {
	news := d.news
	d.news = increments{}
	return news
}

func (d *dictionary) string(s string) int64 {
	s = cut(s, maxName)
	i, ok := d.strings[s]
	if !ok {
		i = int64(len(d.strings))
		d.strings[s] = i
		d.news.Strings = append(d.news.Strings, s)
		d.news.bytes += len(s)
		d.bytes += len(s)
	}
	return i
}

func (d *dictionary) thread(s *profile.LiveSample) int64 {
	key := threadKey{s.Service, s.Comm, s.Container, s.PID, s.TID}
	i, ok := d.threads[key]
	if !ok {
		i = int64(len(d.threads))
		d.threads[key] = i
		d.news.Threads = append(d.news.Threads,
			d.string(s.Service), d.string(s.Comm), int64(s.PID), int64(s.TID), d.string(s.Container))
	}
	return i
}

// stack returns the node of a stack's leaf. Stacks share the nodes of their common callers; node 0 is the root, which is
// also where a sample without a stack is.
func (d *dictionary) stack(s *profile.LiveStack) int64 {
	if s == nil {
		return 0
	}
	if node, ok := d.stacks[s]; ok {
		return node
	}
	node := int64(0)
	for i := len(s.Locations) - 1; i >= 0; i-- {
		frames := d.location(s.Locations[i])
		for j := len(frames) - 1; j >= 0; j-- {
			node = d.node(node, frames[j])
		}
	}
	remember(d.stacks, s, node)
	return node
}

// location returns the frames of a location, innermost first.
func (d *dictionary) location(s *profile.LiveLocation) []int64 {
	if frames, ok := d.locations[s]; ok {
		return frames
	}
	l := location(s)
	frames := make([]int64, max(len(l.Line), 1))
	for i := len(frames) - 1; i >= 0; i-- {
		frames[i] = d.frame(l, i)
	}
	remember(d.locations, s, frames)
	return frames
}

// remember enters a short way, and forgets all when there are too many.
func remember[K comparable, V any](m map[K]V, k K, v V) {
	if len(m) >= maxShortWays {
		clear(m)
	}
	m[k] = v
}

// extra returns the set of further labels of a sample; 0 is the empty one.
func (d *dictionary) extra(e profile.Extra) int64 {
	if e == (profile.Extra{}) {
		return 0
	}
	set, ok := d.sets[e]
	if ok {
		return set
	}
	for _, l := range e.Labels() {
		n := labelNode{set, d.string(l.Key), d.string(l.Value)}
		if set, ok = d.labels[n]; !ok {
			set = int64(len(d.labels) + 1)
			d.labels[n] = set
			d.news.Labels = append(d.news.Labels, n.parent, n.key, n.value)
		}
	}
	remember(d.sets, e, set)
	return set
}

func (d *dictionary) node(parent, frame int64) int64 {
	key := nodeKey{parent, frame}
	i, ok := d.nodes[key]
	if !ok {
		i = int64(len(d.nodes) + 1)
		d.nodes[key] = i
		d.news.Nodes = append(d.news.Nodes, parent, frame)
	}
	return i
}

func (d *dictionary) frame(l *pprof.Location, line int) int64 {
	key := frameKey{
		name: d.string(profile.Name(l, line)), module: d.string(profile.Module(l)), kind: d.string(profile.KindOf(l, line).String()),
	}
	file := ""
	if line < len(l.Line) {
		file, key.line = l.Line[line].Function.Filename, l.Line[line].Line
	}
	key.file = d.string(file)
	i, ok := d.frames[key]
	if !ok {
		i = int64(len(d.frames))
		d.frames[key] = i
		d.news.Frames = append(d.news.Frames, key.name, key.module, key.kind, key.file, key.line)
	}
	return i
}

// location returns l as package profile names locations.
func location(l *profile.LiveLocation) *pprof.Location {
	out := &pprof.Location{Address: l.Addr}
	if l.Mapping != (profile.Mapping{}) {
		out.Mapping = &pprof.Mapping{Start: l.Mapping.Start, Limit: l.Mapping.Limit, File: l.Mapping.File}
	}
	for _, f := range l.Frames {
		system := f.SystemName
		if system == "" {
			system = f.Name
		}
		out.Line = append(out.Line, pprof.Line{
			Function: &pprof.Function{Name: f.Name, SystemName: system, Filename: f.File, StartLine: f.StartLine}, Line: f.Line,
		})
	}
	return out
}

package agent

import (
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// Bounds of a generation. Above the soft ones the next begins when the window ends; what comes above the hard ones
// before that is counted under a name that says so.
const (
	softNodes     = 128 << 10 // frames in the tree of stacks; 60 bytes each with their index
	hardNodes     = 512 << 10
	softStacks    = 64 << 10
	softObjects   = 16 << 10 // of 65,531 numbers
	softProcesses = 16 << 10
	hardProcesses = 64 << 10
	softComms     = 16 << 10
	hardComms     = 1<<16 - 1 // and one for the rest: numbers have 16 bits
	hardSeries    = 2 << 10

	// generationWindows is how long a generation lasts at most: an hour of windows of 10 s. After it, what was not seen
	// for long is forgotten, and every process is identified anew.
	generationWindows = 360
)

// A generation numbers what samples have in common: stacks, objects, processes, names. It only grows, so what was in it
// at one moment can be read while it grows; when it has grown enough another takes its place.
type generation struct {
	stacks    *stacks
	processes *processes
	comms     *comms

	// Of the namer, under its lock.
	places []*place             // by node
	seen   []uint64             // by node: the last pass that came by
	live   []*profile.LiveStack // by stack; nil where there is none
	lives  int                  // about how many there are
	// markers are bounded by the objects that can root a stack.
	markers map[string]*profile.LiveLocation
}

func newGeneration(identify Identifier) *generation {
	return &generation{stacks: newStacks(), processes: newProcesses(identify), comms: newComms()}
}

// bounded sets the hard bounds, for a run without an end.
func (g *generation) bounded() *generation {
	g.stacks.limit = hardNodes
	g.processes.limit, g.processes.series.limit, g.processes.relook = hardProcesses, hardSeries, true
	return g
}

// seal lets go of what is needed to add to a generation.
func (g *generation) seal() {
	g.stacks.children, g.stacks.ids, g.stacks.recent = nil, nil, nil
	g.processes.ids = nil
}

// A view is a generation at one moment. It may be read on any goroutine.
type view struct {
	gen       *generation
	nodes     []node
	stacks    []stack
	objects   []*object // from firstFile on
	processes []process
	series    []series
	comms     []string
}

func (g *generation) view(o *objects) *view {
	return &view{
		gen: g, nodes: g.stacks.nodes, stacks: g.stacks.list, objects: o.list,
		processes: g.processes.list, series: g.processes.series.list, comms: g.comms.list,
	}
}

// worn reports whether a generation has grown over a soft bound, and has at least doubled since its first window: one
// that a steady load fills is not replaced over and over.
func (g *generation) worn(o *objects, firstNodes int) bool {
	nodes := len(g.stacks.nodes)
	return nodes > softNodes && nodes > 2*firstNodes || nodes > hardNodes/2 && nodes > firstNodes*5/4 ||
		len(g.stacks.list) > softStacks && nodes > firstNodes*5/4 || len(o.list) > softObjects ||
		len(g.processes.list) > softProcesses || len(g.comms.list) > softComms ||
		len(g.processes.series.list) >= hardSeries
}

package agent

import (
	"maps"
	"slices"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
)

// readCounts is what the reading goroutine counts.
type readCounts struct {
	kinds                      []kindCounts
	late, overflowed, extended uint64
	generations                uint64
}

type kindCounts struct {
	samples, thinned, dropped, forgone uint64
	lost                               map[string]uint64 // by reason; never changed
}

// ExitedService is the service in Stats of processes that had gone before they could be asked.
const ExitedService = "[exited]"

// Reasons in KindStats.Filtered.
const (
	FilteredByFraction = "fraction"
	FilteredByRule     = "rule"
)

// Stats is what a Collector did since it was made.
type Stats struct {
	Kinds    []KindStats // by number
	Windows  uint64      // closed and handed to the sinks, an interval for each kind
	Extended uint64      // lengths by which windows were longer because naming was late
	Late     uint64      // samples that came after their window was closed, and are in the next
	Sinks    map[string]SinkStats
	Naming   NamingStats
	Unwind   UnwindStats
	Sizes    Sizes
}

// KindStats is what became of the events of one kind.
type KindStats struct {
	Kind string

	Fired   uint64 // events that hit a target = Samples + sum(Filtered) + sum(Lost)
	Samples uint64 // in the windows
	// Filtered counts events that rules left out: by FilteredByFraction, for which other samples stand, or FilteredByRule.
	Filtered map[string]uint64
	Lost     map[string]uint64
	Forgone  uint64 // of FilteredByFraction, those for which no sample came to stand

	Stacks Stacks // of samples in closed windows
	// Services is by service, in closed windows. What goes by its thread's name because it had gone is in ExitedService.
	Services map[string]ServiceTotals
	Live     LiveStats
}

// ServiceTotals is what a service has used.
type ServiceTotals struct {
	Samples uint64
	Value   int64 // in the kind's unit
}

// SinkStats counts intervals.
type SinkStats struct{ Delivered, Failed, Dropped uint64 }

// NamingStats says what naming and building profiles took, off the reading goroutine.
type NamingStats struct {
	Time   time.Duration // looking names up
	Build  time.Duration // making profiles of them
	Places uint64        // looked up in an object, not found in a cache
}

// Sizes is how much a Collector holds at the moment.
type Sizes struct {
	Generations                        uint64 // begun so far
	Nodes, Stacks, Processes           int    // of the present generation
	Objects, Files, Comms, Services    int
	Places                             int
	FilesRefused, StacksDropped, Keyed uint64 // files without a descriptor, stacks without room, samples of the last window
}

const maxServices = 2 * hardSeries // in KindStats.Services

func (s *Stats) init(kinds []Kind) {
	*s = Stats{Sinks: map[string]SinkStats{}}
	for _, k := range kinds {
		s.Kinds = append(s.Kinds, KindStats{
			Kind: k.Name(), Filtered: map[string]uint64{}, Lost: map[string]uint64{loader.LostRingFull: 0},
			Services: map[string]ServiceTotals{}, Stacks: Stacks{ByEnd: map[string]uint64{}},
		})
	}
}

// publish makes what the reading goroutine counted visible.
func (c *Collector) publish() {
	var unwind UnwindStats
	if c.unwinding != nil {
		unwind = c.unwinding.statistics()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s, n := &c.stats, &c.counts
	s.Late, s.Extended, s.Unwind = n.late, n.extended, unwind
	for kind := range s.Kinds {
		s.Kinds[kind].publish(n.kinds[kind])
	}
	s.Sizes.Generations, s.Sizes.StacksDropped = n.generations+1, n.overflowed+c.gen.stacks.dropped
	s.Sizes.Nodes, s.Sizes.Stacks = len(c.gen.stacks.nodes), len(c.gen.stacks.list)
	s.Sizes.Processes, s.Sizes.Comms = len(c.gen.processes.list), len(c.gen.comms.list)
	s.Sizes.Objects, s.Sizes.Files = len(c.objects.byID), c.objects.opened
	s.Sizes.FilesRefused = c.objects.refused
}

func (k *KindStats) publish(n kindCounts) {
	k.Samples, k.Forgone = n.samples, n.forgone
	k.Filtered[FilteredByFraction], k.Filtered[FilteredByRule] = n.thinned, n.dropped
	k.Fired = n.samples + n.thinned + n.dropped
	for reason, lost := range n.lost {
		k.Lost[reason] = lost
		k.Fired += lost
	}
}

// Stats is a copy of what was counted so far; what is being read is in it since the last drain.
func (c *Collector) Stats() Stats {
	readers := make([]int, len(c.live))
	for kind, f := range c.live {
		readers[kind] = f.readerCount() // its lock comes before ours
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Sinks, s.Kinds = maps.Clone(s.Sinks), slices.Clone(s.Kinds)
	for kind := range s.Kinds {
		k := &s.Kinds[kind]
		k.Filtered, k.Lost, k.Services = maps.Clone(k.Filtered), maps.Clone(k.Lost), maps.Clone(k.Services)
		k.Stacks.ByEnd = maps.Clone(k.Stacks.ByEnd)
		k.Live.Readers = readers[kind]
	}
	return s
}

// serve adds to a service's totals. mu is held. Names that processes chose are no services: they would fill the table.
func (k *KindStats) serve(service string, guessed bool, samples uint64, value int64) {
	_, known := k.Services[service]
	switch {
	case !known && guessed:
		service = ExitedService
	case !known && len(k.Services) >= maxServices:
		service = otherName
	}
	t := k.Services[service]
	t.Samples += samples
	t.Value += value
	k.Services[service] = t
}

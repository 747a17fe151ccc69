package agent

import (
	"maps"
	"time"
)

// readCounts is what the reading goroutine counts.
type readCounts struct {
	samples, thinned, dropped, lost uint64
	late, overflowed, extended      uint64
	forgone, generations            uint64
}

// ExitedService is the service in Stats of processes that had gone before they could be asked.
const ExitedService = "[exited]"

// Reasons in Stats.Filtered and Lost, and in an EventSummary.
const (
	FilteredByFraction = "fraction"
	FilteredByRule     = "rule"
	LostRingFull       = "ring_full"
)

// Stats is what a Collector did since it was made.
type Stats struct {
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

	Windows  uint64 // closed and handed to the sinks
	Extended uint64 // lengths by which windows were longer because naming was late
	Late     uint64 // samples that came after their window was closed, and are in the next
	Sinks    map[string]SinkStats
	Live     LiveStats
	Naming   NamingStats
	Unwind   UnwindStats
	Sizes    Sizes
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

const maxServices = 2 * hardSeries // in Stats.Services

func (s *Stats) init(kind string) {
	*s = Stats{
		Kind: kind, Filtered: map[string]uint64{}, Lost: map[string]uint64{},
		Services: map[string]ServiceTotals{}, Sinks: map[string]SinkStats{},
		Stacks: Stacks{ByEnd: map[string]uint64{}},
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
	s.Samples, s.Late, s.Extended, s.Forgone = n.samples, n.late, n.extended, n.forgone
	s.Filtered[FilteredByFraction], s.Filtered[FilteredByRule] = n.thinned, n.dropped
	s.Lost[LostRingFull] = n.lost
	s.Fired = n.samples + n.thinned + n.dropped + n.lost
	s.Unwind = unwind
	s.Sizes.Generations, s.Sizes.StacksDropped = n.generations+1, n.overflowed+c.gen.stacks.dropped
	s.Sizes.Nodes, s.Sizes.Stacks = len(c.gen.stacks.nodes), len(c.gen.stacks.list)
	s.Sizes.Processes, s.Sizes.Comms = len(c.gen.processes.list), len(c.gen.comms.list)
	s.Sizes.Objects, s.Sizes.Files = len(c.objects.byID), c.objects.opened
	s.Sizes.FilesRefused = c.objects.refused
}

// Stats is a copy of what was counted so far; what is being read is in it since the last drain.
func (c *Collector) Stats() Stats {
	readers := c.live.readerCount() // its lock comes before ours
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Filtered, s.Lost = maps.Clone(s.Filtered), maps.Clone(s.Lost)
	s.Services, s.Sinks = maps.Clone(s.Services), maps.Clone(s.Sinks)
	s.Stacks.ByEnd = maps.Clone(s.Stacks.ByEnd)
	s.Live.Readers = readers
	return s
}

// serve adds to a service's totals. mu is held. Names that processes chose are no services: they would fill the table.
func (s *Stats) serve(service string, guessed bool, samples uint64, value int64) {
	_, known := s.Services[service]
	switch {
	case !known && guessed:
		service = ExitedService
	case !known && len(s.Services) >= maxServices:
		service = otherName
	}
	t := s.Services[service]
	t.Samples += samples
	t.Value += value
	s.Services[service] = t
}

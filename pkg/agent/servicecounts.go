package agent

import (
	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/loader/perfevent"
)

// maxCountedCgroups bounds what is remembered of cgroups.
const maxCountedCgroups = 10_000

// ServiceCounts sums what a loader.Counting counted by service. It is not safe for concurrent use.
type ServiceCounts struct {
	identify Identifier
	known    map[processKey]*countedProcess
	// cgroups has the service of each cgroup of whose processes all that could be asked belong to one service; "" where
	// they do not. A process that has gone before anybody asked is told by it.
	cgroups map[uint64]string
}

type countedProcess struct {
	service string
	comm    string
	drop    bool
}

// NewServiceCounts returns one that asks identify for each process once, and again when it became another program.
func NewServiceCounts(identify Identifier) *ServiceCounts {
	return &ServiceCounts{identify: identify, known: map[processKey]*countedProcess{}, cgroups: map[uint64]string{}}
}

// Forget makes it ask anew for every process: what names services has changed.
func (s *ServiceCounts) Forget() { clear(s.known); clear(s.cgroups) }

// Sum returns what each service counted. What found no room in the kernel, or is of a process that this PID namespace
// does not show, is in the service "other"; what no process did, and what rules leave out, is in none.
func (s *ServiceCounts) Sum(n loader.Counted) map[string]loader.CountSet {
	sums := map[string]loader.CountSet{}
	// Those that live first: they tell of those that have gone.
	for _, gone := range []bool{false, true} {
		for i := range n.Rows {
			if r := &n.Rows[i]; r.Gone == gone {
				if service, ok := s.Service(r); ok {
					sums[service] = addCounts(sums[service], r.CountSet)
				}
			}
		}
	}
	if n.Other.RanNs > 0 {
		sums[otherName] = addCounts(sums[otherName], n.Other)
	}
	return sums
}

// Service returns whose a row is; ok is false if rules leave the process out.
func (s *ServiceCounts) Service(r *loader.CountRow) (service string, ok bool) {
	key := processKey{r.TGID, r.StartNs}
	p := s.known[key]
	if p == nil || p.comm != r.Comm {
		if found := s.look(r); p == nil || found != nil {
			p = found
		}
	}
	if r.Gone {
		delete(s.known, key)
	} else if p != nil {
		s.known[key] = p
	}
	if p == nil {
		return s.guess(r), true
	}
	return p.service, !p.drop
}

// look asks what a process is; nil if it has gone.
func (s *ServiceCounts) look(r *loader.CountRow) *countedProcess {
	if r.PID == 0 {
		return &countedProcess{service: otherName, comm: r.Comm} // another PID namespace's
	}
	who := s.identify(r.PID, r.StartTicks)
	if !who.OK {
		return nil
	}
	if r.Cgroup != 0 {
		if len(s.cgroups) >= maxCountedCgroups {
			clear(s.cgroups)
		}
		if old, seen := s.cgroups[r.Cgroup]; seen && old != who.Service {
			s.cgroups[r.Cgroup] = ""
		} else {
			s.cgroups[r.Cgroup] = who.Service
		}
	}
	return &countedProcess{service: who.Service, comm: r.Comm, drop: who.Drop}
}

// guess names the service of a process that has gone: its cgroup's, or its own name.
func (s *ServiceCounts) guess(r *loader.CountRow) string {
	if service := s.cgroups[r.Cgroup]; service != "" && r.Cgroup != 0 {
		return service
	}
	if name := printable(r.Comm); name != "" {
		return name
	}
	return otherName
}

func addCounts(a, b loader.CountSet) loader.CountSet {
	sum := loader.CountSet{RanNs: a.RanNs + b.RanNs, Counts: make([]perfevent.Count, len(b.Counts))}
	copy(sum.Counts, b.Counts)
	for i := range a.Counts {
		sum.Counts[i] = sum.Counts[i].Add(a.Counts[i])
	}
	return sum
}

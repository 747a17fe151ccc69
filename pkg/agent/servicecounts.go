package agent

import (
	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/loader/perfevent"
	"github.com/ebpfprof/ebpfprof/pkg/service"
)

// maxCountedCgroups bounds what is remembered of cgroups.
const maxCountedCgroups = 10_000

// ServiceCounts sums what a loader.Counting counted by service. It is not safe for concurrent use.
type ServiceCounts struct {
	identify Identifier
	known    map[processKey]*countedProcess
	// cgroups tell of a process that has gone before anybody asked.
	cgroups map[uint64]*countedCgroup
}

// A countedCgroup is what the processes of a cgroup that could be asked have in common.
type countedCgroup struct {
	service string // "": nothing
	comm    string // of the first
	// whole is true if the service is the cgroup's, not an executable's: a container's, or that of processes with
	// different names.
	whole bool
}

type countedProcess struct {
	service string
	comm    string
	drop    bool
}

// NewServiceCounts returns one that asks identify for each process once, and again when it became another program.
func NewServiceCounts(identify Identifier) *ServiceCounts {
	return &ServiceCounts{identify: identify, known: map[processKey]*countedProcess{}, cgroups: map[uint64]*countedCgroup{}}
}

// Forget makes it ask anew for every process: what names services has changed.
func (s *ServiceCounts) Forget() { clear(s.known); clear(s.cgroups) }

// Sum returns what each service counted, by its name. What found no room in the kernel, or is of a process that this PID
// namespace does not show, is in the service "other"; what no process did, and what rules leave out, is in none.
func (s *ServiceCounts) Sum(n loader.Counted) map[string]loader.CountSet {
	sums := map[string]loader.CountSet{}
	// Those that live first: they tell of those that have gone.
	for _, gone := range []bool{false, true} {
		for i := range n.Rows {
			if r := &n.Rows[i]; r.Gone == gone {
				if name, ok := s.Service(r); ok {
					sums[name] = addCounts(sums[name], r.CountSet)
				}
			}
		}
	}
	if n.Other.RanNs > 0 {
		sums[service.Other] = addCounts(sums[service.Other], n.Other)
	}
	return sums
}

// Service returns whose a row is; ok is false if rules leave the process out.
func (s *ServiceCounts) Service(r *loader.CountRow) (name string, ok bool) {
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
		return &countedProcess{service: service.Other, comm: r.Comm} // another PID namespace's
	}
	who := s.identify(r.PID, r.StartTicks)
	if !who.OK {
		return nil
	}
	s.learn(r, who)
	return &countedProcess{service: who.Service, comm: r.Comm, drop: who.Drop}
}

// learn remembers what a process says of its cgroup.
func (s *ServiceCounts) learn(r *loader.CountRow, who Identity) {
	if r.Cgroup == 0 {
		return
	}
	c := s.cgroups[r.Cgroup]
	switch {
	case c == nil:
		if len(s.cgroups) >= maxCountedCgroups {
			clear(s.cgroups)
		}
		s.cgroups[r.Cgroup] = &countedCgroup{service: who.Service, comm: r.Comm, whole: who.Container != ""}
	case c.service != who.Service:
		c.service = ""
	case c.comm != r.Comm:
		c.whole = true
	}
}

// guess names the service of a process that has gone: its cgroup's, or its own name.
func (s *ServiceCounts) guess(r *loader.CountRow) string {
	if c := s.cgroups[r.Cgroup]; c != nil && c.whole && c.service != "" {
		return c.service
	}
	if name := printable(r.Comm); name != "" {
		return name
	}
	return service.Other
}

func addCounts(a, b loader.CountSet) loader.CountSet {
	sum := loader.CountSet{RanNs: a.RanNs + b.RanNs, Counts: make([]perfevent.Count, len(b.Counts))}
	copy(sum.Counts, b.Counts)
	for i := range a.Counts {
		sum.Counts[i] = sum.Counts[i].Add(a.Counts[i])
	}
	return sum
}

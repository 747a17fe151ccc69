// Package service decides whose a process is: the name of its service, the labels of its profiles, and how much of it
// is sampled. It is a pure decision over facts that others gather.
package service

import (
	"path"
	"strings"
	"sync"

	"github.com/prometheus/prometheus/model/relabel"
)

// Facts are what is known of a process. Text is valid UTF-8; what is not known is "".
type Facts struct {
	// Service is the name without rules. It is taken from what else is known if it is "".
	Service       string
	Executable    string // path
	Comm          string // name of the process
	Cgroup        string // path
	ContainerID   string
	ContainerName string // of the engine
	Unit          string // of systemd, with its suffix
	Namespace     string // of Kubernetes, and so are those below
	Pod           string
	PodUID        string
	PodContainer  string // name of the container within the pod
}

// An Identity is what was decided about a process.
type Identity struct {
	Service string // never ""
	// Labels say more of the service: names are [a-zA-Z_][a-zA-Z0-9_]* and do not begin with "__". Identities share
	// it: nobody changes it.
	Labels   map[string]string
	Fraction float64 // of its samples, what is kept: from 0 to 1, exclusive of 0
	Drop     bool    // it is not profiled; then nothing else is set
}

// A Rule names, thins out or leaves out the processes that it matches.
type Rule struct {
	Match  Match
	Name   string  // template; "": the name without rules
	Sample float64 // of the samples, what is kept; 0: the process is not profiled
}

// Options are what Rules are compiled from. The zero value has no rules.
type Options struct {
	Rules []Rule // the first that matches decides
	// Relabel comes after the rules. Compile takes its own copies.
	Relabel []*relabel.Config
	// MaxServices is how many services are told apart at one time, see Rules.Retain; 0: DefaultMaxServices.
	MaxServices int
}

const (
	// DefaultMaxServices is beyond what one machine runs, and what a person can look through.
	DefaultMaxServices = 1000
	// seriesPerService bounds series: services with their labels, such as the pods of a deployment.
	seriesPerService = 4
	// Other is the service of what is beyond the bound.
	Other = "other"
)

// Rules identify processes. Any number of goroutines may use them.
type Rules struct {
	rules   []compiled
	relabel []*relabel.Config
	max     int

	mu       sync.Mutex
	services map[string]bool   // told apart now
	series   map[string]labels // by service and labels
	stats    Stats
}

// Stats count decisions since the rules were compiled.
type Stats struct {
	Services int // told apart now
	Series   int // with their labels
	// Overflowed processes are the service Other, because there were too many services.
	Overflowed uint64
	// Unlabelled processes lost their labels, because there were too many series.
	Unlabelled uint64
	Dropped    uint64 // processes that rules or relabelling leave out
}

type labels map[string]string

// Identify decides about one process.
func (r *Rules) Identify(f Facts) Identity {
	if f.Service == "" {
		f.Service = f.program()
	}
	id := Identity{Service: f.Service, Fraction: 1}
	for _, rule := range r.rules {
		if name, ok := rule.apply(f); ok {
			if name != "" {
				id.Service = name
			}
			id.Fraction = rule.sample
			break
		}
	}
	if id.Fraction == 0 {
		return r.drop()
	}
	ownLabels, keep := r.relabelled(f, &id)
	if !keep {
		return r.drop()
	}
	id.Service = bounded(id.Service)
	r.admit(&id, ownLabels)
	return id
}

func (r *Rules) drop() Identity {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Dropped++
	return Identity{Drop: true}
}

// program names a process by what runs.
func (f Facts) program() string {
	switch base := path.Base(f.Executable); {
	case f.Executable != "" && base != "/" && base != ".":
		return base
	case strings.TrimSpace(f.Comm) != "":
		return f.Comm
	}
	return "[nameless]"
}

// admit bounds services and series.
func (r *Rules) admit(id *Identity, l labels) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.services[id.Service] {
		if len(r.services) >= r.max {
			r.stats.Overflowed++
			id.Service, id.Labels = Other, nil
			return
		}
		r.services[id.Service] = true
	}
	if len(l) == 0 {
		return
	}
	key := seriesKey(id.Service, l)
	if known, ok := r.series[key]; ok {
		id.Labels = known
		return
	}
	if len(r.series) >= r.max*seriesPerService {
		r.stats.Unlabelled++
		return
	}
	r.series[key] = l
	id.Labels = l
}

// Retain forgets services and series that are not in use, so that new ones find room. The owner calls it from time to
// time with the identities of its live processes.
func (r *Rules) Retain(live []Identity) {
	services, series := map[string]bool{}, map[string]labels{}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range live {
		if r.services[id.Service] {
			services[id.Service] = true
		}
		if key := seriesKey(id.Service, id.Labels); len(id.Labels) > 0 && r.series[key] != nil {
			series[key] = r.series[key]
		}
	}
	r.services, r.series = services, series
}

// Stats returns the counts so far.
func (r *Rules) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Services, s.Series = len(r.services), len(r.series)
	return s
}

package probe

import (
	"context"

	"github.com/ebpfprof/ebpfprof/pkg/loader/perfevent"
)

// perfSpecs are the hardware events that the commands count and sample, and those that software counts.
func perfSpecs() []perfevent.Event {
	var specs []perfevent.Event
	for _, name := range []string{
		"cpu-clock", "task-clock", "page-faults", "minor-faults", "major-faults", "context-switches", "cpu-migrations",
		"cycles", "instructions", "branches", "branch-misses", "cache-references", "cache-misses",
		"L1-dcache-loads", "L1-dcache-load-misses", "L1-icache-loads", "L1-icache-load-misses",
		"LLC-loads", "LLC-load-misses",
	} {
		e, err := perfevent.Lookup(name)
		if err != nil {
			panic(err) // the names above are in the table
		}
		specs = append(specs, e)
	}
	return specs
}

func eventChecks() []check {
	var checks []check
	for _, spec := range perfSpecs() {
		checks = append(checks, check{Event, spec.Name, func(context.Context) (outcome, error) {
			a, err := perfevent.Try(spec)
			return outcome{detail: a.Detail, countOnly: a.CountOnly}, err
		}, ""})
	}
	return checks
}

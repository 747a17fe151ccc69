package main

import (
	"sync/atomic"

	"github.com/ebpfprof/ebpfprof/pkg/agent"
	"github.com/ebpfprof/ebpfprof/pkg/config"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
	"github.com/ebpfprof/ebpfprof/pkg/service"
)

// serviceRules compiles what a configuration says about services.
func serviceRules(c config.Config) (*service.Rules, error) {
	o := service.Options{Relabel: c.RelabelConfigs, MaxServices: c.MaxServices}
	for _, r := range c.Services {
		o.Rules = append(o.Rules, service.Rule{Match: service.Match(r.Match), Name: r.Name, Sample: float64(r.Sample)})
	}
	return service.Compile(o)
}

// A serviceIdentifier reads what a process is and lets the rules decide. Any number of goroutines may use it.
type serviceIdentifier struct {
	facts *proc.Identifier
	rules atomic.Pointer[service.Rules] // swapped by a reload
}

func newServiceIdentifier(fs proc.FS, rules *service.Rules) *serviceIdentifier {
	i := &serviceIdentifier{facts: proc.NewIdentifier(fs)}
	i.rules.Store(rules)
	return i
}

// identity decides about the process that had this number since startTicks. It is an agent.Identifier.
func (i *serviceIdentifier) identity(pid int, startTicks uint64) agent.Identity {
	f, err := i.facts.Facts(pid)
	if err != nil || f.StartTicks != startTicks {
		return agent.Identity{} // gone: nobody knows what it was
	}
	id := i.rules.Load().Identify(service.Facts{
		Service: f.Service(), Executable: f.Executable, Comm: f.Comm, Cgroup: f.Cgroup,
		ContainerID: f.ContainerID, ContainerName: f.ContainerName, Unit: f.Unit,
		Namespace: f.Pod.Namespace, Pod: f.Pod.Name, PodUID: f.Pod.UID, PodContainer: f.Pod.Container,
	})
	return agent.Identity{
		Service: id.Service, Labels: id.Labels, Container: f.ContainerID, Fraction: id.Fraction, Drop: id.Drop, OK: true,
	}
}

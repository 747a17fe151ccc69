package main

import (
	"sync/atomic"

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

// identify decides about the process that had this number since startTicks. container is the container's full ID, or
// "". ok is false if the process is gone: then nobody knows what it was.
func (i *serviceIdentifier) identify(pid int, startTicks uint64) (id service.Identity, container string, ok bool) {
	f, err := i.facts.Facts(pid)
	if err != nil || f.StartTicks != startTicks {
		return service.Identity{}, "", false
	}
	return i.rules.Load().Identify(service.Facts{
		Service: f.Service(), Executable: f.Executable, Comm: f.Comm, Cgroup: f.Cgroup,
		ContainerID: f.ContainerID, ContainerName: f.ContainerName, Unit: f.Unit,
		Namespace: f.Pod.Namespace, Pod: f.Pod.Name, PodUID: f.Pod.UID, PodContainer: f.Pod.Container,
	}), f.ContainerID, true
}

package main

import (
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

// serviceFacts is what rules see of a process.
func serviceFacts(f proc.Facts) service.Facts {
	return service.Facts{
		Service: f.Service(), Executable: f.Executable, Comm: f.Comm, Cgroup: f.Cgroup,
		ContainerID: f.ContainerID, ContainerName: f.ContainerName, Unit: f.Unit,
		Namespace: f.Pod.Namespace, Pod: f.Pod.Name, PodUID: f.Pod.UID, PodContainer: f.Pod.Container,
	}
}

package loader

import (
	"slices"

	"github.com/cilium/ebpf"
)

// keepPrograms leaves in a specification the programs named and the maps that they refer to.
func keepPrograms(spec *ebpf.CollectionSpec, names ...string) {
	used := map[string]bool{}
	for name, p := range spec.Programs {
		if !slices.Contains(names, name) {
			delete(spec.Programs, name)
			continue
		}
		for _, ins := range p.Instructions {
			if ins.IsLoadFromMap() {
				used[ins.Reference()] = true
			}
		}
	}
	for name := range spec.Maps {
		if !used[name] {
			delete(spec.Maps, name)
		}
	}
	for name, v := range spec.Variables {
		if !used[v.SectionName] {
			delete(spec.Variables, name)
		}
	}
}

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// A Finding is something that an object wants and a kernel does not have. Loading the
// program fails there, unless it never reaches the instruction: behind a question
// such as bpf_core_field_exists the verifier removes it as dead code.
type Finding struct {
	Program string // name of the program or map, or "" for the whole object
	What    string // relocation, target, symbol, type or helper
}

func (f Finding) String() string {
	if f.Program == "" {
		return f.What
	}
	return f.Program + ": " + f.What
}

// A Report is what one object met on one kernel.
type Report struct {
	Programs    int
	Relocations int
	Findings    []Finding // each once, sorted
}

// Check resolves every CO-RE relocation, attach target and kernel symbol of an object
// against a kernel's types, as the loader would on that kernel, and looks for the
// types of its programs and maps and for the helpers that it calls. It needs no kernel.
func Check(object *ebpf.CollectionSpec, kernel *btf.Spec) (Report, error) {
	r := Report{Programs: len(object.Programs)}
	for name, program := range object.Programs {
		var relocations []*btf.CORERelocation
		for i := range program.Instructions {
			if relocation := btf.CORERelocationMetadata(&program.Instructions[i]); relocation != nil {
				relocations = append(relocations, relocation)
			}
		}
		r.Relocations += len(relocations)
		// All of a program at once: they choose the candidate of an ambiguous type together.
		fixups, err := btf.CORERelocate(relocations, []*btf.Spec{kernel}, object.ByteOrder, localTypeID)
		if err != nil {
			return r, fmt.Errorf("relocate program %s: %w", name, err)
		}
		for i := range fixups {
			if poisoned(&fixups[i]) {
				r.Findings = append(r.Findings, Finding{name, describe(relocations[i], object.Types)})
			}
		}
		if missing := missingTarget(program, kernel); missing != "" {
			r.Findings = append(r.Findings, Finding{name, missing})
		}
	}
	r.Findings = append(r.Findings, missingSymbols(object.Types, kernel)...)
	r.Findings = append(r.Findings, missingUAPI(object, kernel)...)
	slices.SortFunc(r.Findings, func(a, b Finding) int { return strings.Compare(a.String(), b.String()) })
	r.Findings = slices.Compact(r.Findings)
	return r, nil
}

// localTypeID stands in for the ID that a type gets when its object is loaded.
func localTypeID(btf.Type) (btf.TypeID, error) { return 1, nil }

// poisoned reports that there is no fixup: the instruction becomes one that the
// verifier refuses. The package shows that in the fixup's text only.
func poisoned(fixup *btf.COREFixup) bool {
	return strings.HasSuffix(fixup.String(), "=poison")
}

// missingTarget names what a program attaches to if the kernel does not have it, or
// returns "". Perf events have no target, and a tracepoint's name stands in no BTF
// unless programs with its own types exist for it.
func missingTarget(program *ebpf.ProgramSpec, kernel *btf.Spec) string {
	var function *btf.Func
	var typedef *btf.Typedef
	name := program.AttachTo
	switch {
	case name == "":
		return ""
	case program.Type == ebpf.RawTracepoint, program.AttachType == ebpf.AttachTraceRawTp:
		if kernel.TypeByName("btf_trace_"+name, &typedef) != nil {
			return "tracepoint " + name
		}
		return ""
	case program.AttachType == ebpf.AttachTraceIter:
		name = "bpf_iter_" + name
	case program.Type == ebpf.LSM:
		name = "bpf_lsm_" + name
	case program.Type != ebpf.Tracing:
		return ""
	}
	if kernel.TypeByName(name, &function) != nil {
		return "function " + name
	}
	return ""
}

// missingSymbols returns the kernel functions that the object calls by name and the
// kernel does not have. Variables are not checked: most have no entry in BTF.
func missingSymbols(object, kernel *btf.Spec) (missing []Finding) {
	var symbols *btf.Datasec
	if object == nil || object.TypeByName(".ksyms", &symbols) != nil {
		return nil
	}
	for _, v := range symbols.Vars {
		wanted, ok := v.Type.(*btf.Func)
		var found *btf.Func
		if ok && kernel.TypeByName(wanted.Name, &found) != nil {
			missing = append(missing, Finding{What: "function " + wanted.Name})
		}
	}
	return missing
}

// missingUAPI returns the types of programs and maps and the helper functions that the
// object needs and the kernel has no number for in include/uapi/linux/bpf.h.
func missingUAPI(object *ebpf.CollectionSpec, kernel *btf.Spec) (missing []Finding) {
	types, helpers, maps := numbers(kernel, "bpf_prog_type"), numbers(kernel, "bpf_func_id"), numbers(kernel, "bpf_map_type")
	for name, program := range object.Programs {
		if !types[uint64(program.Type)] {
			missing = append(missing, Finding{name, "program type " + program.Type.String()})
		}
		for i := range program.Instructions {
			ins := &program.Instructions[i]
			if ins.IsBuiltinCall() && !helpers[uint64(ins.Constant)] {
				missing = append(missing, Finding{name, "helper " + asm.BuiltinFunc(ins.Constant).String()})
			}
		}
	}
	for name, m := range object.Maps {
		if !strings.HasPrefix(name, ".") && !maps[uint64(m.Type)] {
			missing = append(missing, Finding{name, "map type " + m.Type.String()})
		}
	}
	return missing
}

// numbers returns the values of an enum of the kernel.
func numbers(kernel *btf.Spec, name string) map[uint64]bool {
	known := make(map[uint64]bool)
	var enum *btf.Enum
	if kernel.TypeByName(name, &enum) != nil {
		return known
	}
	for _, v := range enum.Values {
		known[v.Value] = true
	}
	return known
}

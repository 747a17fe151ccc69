package loader

import (
	"fmt"
	"strconv"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// eventProgram is the name of the program of an event in the collection.
func eventProgram(event int) string { return bpfProgCpuEvent + strconv.Itoa(event) }

// eventPrograms replaces the program of perf events with one for each of n events, that knows its number: the call
// that asks for it (event_number in bpf/event.h) becomes a constant.
func eventPrograms(spec *ebpf.CollectionSpec, n int) error {
	template := spec.Programs[bpfProgCpuEvent]
	delete(spec.Programs, bpfProgCpuEvent)
	for event := range n {
		p := template.Copy()
		p.Name = eventProgram(event)
		replaced := 0
		for i, ins := range p.Instructions {
			if ins.IsBuiltinCall() && asm.BuiltinFunc(ins.Constant) == asm.FnGetAttachCookie {
				p.Instructions[i] = asm.Mov.Imm(asm.R0, int32(event)).WithMetadata(ins.Metadata)
				replaced++
			}
		}
		if replaced != 1 {
			return fmt.Errorf("program %s asks %d times for its event's number, want once", template.Name, replaced)
		}
		spec.Programs[p.Name] = p
	}
	return nil
}

package loader

import (
	"fmt"
	"strconv"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// eventProgram is the name of the program of an event in the collection.
func eventProgram(events []Event, event int) string {
	return programOf(events[event]) + strconv.Itoa(event)
}

// programOf is the program that the one of an event is made from.
func programOf(e Event) string {
	if e.isTracepoint() {
		return bpfProgTraceEvent
	}
	return bpfProgCpuEvent
}

// eventPrograms replaces the programs of events with one for each event, that knows its number: the call that asks for
// it (event_number in bpf/event.h) becomes a constant.
func eventPrograms(spec *ebpf.CollectionSpec, events []Event) error {
	templates := map[string]*ebpf.ProgramSpec{}
	for _, name := range []string{bpfProgCpuEvent, bpfProgTraceEvent} {
		templates[name] = spec.Programs[name]
		delete(spec.Programs, name)
	}
	for event := range events {
		if events[event].hasPrograms() {
			continue // has programs of its own
		}
		template := templates[programOf(events[event])]
		p := template.Copy()
		p.Name = eventProgram(events, event)
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

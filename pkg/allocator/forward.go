package allocator

import (
	"debug/elf"
	"slices"

	"github.com/ebpfprof/ebpfprof/pkg/probesite"
)

// A forwarding knows which addresses lead to a function that allocates or frees: those of such functions, and of their
// stubs in the procedure linkage table.
type forwarding struct {
	file  *elf.File
	arch  probesite.Arch
	found []Function
	names map[uint64]string // of what the dynamic linker puts into a slot
}

func newForwarding(f *elf.File, arch probesite.Arch, found []Function) forwarding {
	return forwarding{file: f, arch: arch, found: found, names: slots(f)}
}

// handsOn reports whether a function jumps to another that does the same, as reallocarray to realloc; null, whether it
// does so for no pointer, as realloc to malloc.
func (w forwarding) handsOn(f Function, code []byte) (always, null bool) {
	probesite.Jumps(code, w.arch, func(to int) {
		role, ok := w.role(f.Vaddr + uint64(to))
		switch {
		case !ok || (role.Size == NoSize) != (f.Size == NoSize):
		case role.Frees == f.Frees:
			always = true
		case f.Frees:
			null = true
		}
	})
	return always, null
}

func (w forwarding) role(vaddr uint64) (Role, bool) {
	if i := slices.IndexFunc(w.found, func(f Function) bool { return f.Vaddr == vaddr }); i >= 0 {
		return w.found[i].Role, true
	}
	stub, _ := codeOf(w.file, vaddr, minCode)
	slot, ok := probesite.Slot(stub, vaddr, w.arch)
	if !ok {
		return Role{}, false
	}
	role, _, known := lookup(roles(), w.names[slot])
	return role, known
}

// slots reads the relocations of the procedure linkage table: ELF64 RELA only, which both instruction sets use.
func slots(f *elf.File) map[uint64]string {
	const entry = 24 // sizeof(Elf64_Rela)
	names := map[uint64]string{}
	syms, err := f.DynamicSymbols()
	if err != nil {
		return names
	}
	for _, name := range []string{".rela.plt", ".rela.dyn"} {
		s := f.Section(name)
		if s == nil || s.Type != elf.SHT_RELA {
			continue
		}
		data, err := s.Data()
		if err != nil {
			continue
		}
		for ; len(data) >= entry && len(names) < maxSlots; data = data[entry:] {
			info := f.ByteOrder.Uint64(data[8:])
			// DynamicSymbols leaves out symbol 0.
			if i := int(info>>32) - 1; i >= 0 && i < len(syms) {
				names[f.ByteOrder.Uint64(data)] = syms[i].Name
			}
		}
	}
	return names
}

// maxSlots is more than the functions that any library imports.
const maxSlots = 1 << 18

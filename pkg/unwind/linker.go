package unwind

import (
	"bytes"
	"debug/elf"
)

// pltEntry is the size of an entry of .plt on amd64, whose second half starts at
// pltPushed, after the index was pushed.
const (
	pltEntry  = 16
	pltPushed = 11
	// entryBytes is how much code from e_entry on is taken for the entry if nothing
	// else is known about it: ld.so's _start, which ends in a jump, is 72 bytes long.
	entryBytes = 128
)

// pltRows compiles the stubs of linkers that write no .eh_frame for them (lld,
// mold): System V ABI AMD64 section 5.2. On arm64 they do not touch the stack,
// but for the first entry. Together with them, because functions must ascend:
// _init and _fini, which are made of pieces and have no .eh_frame anywhere.
func pltRows(f *image, b *builder) {
	var plts []section
	for _, s := range f.sections {
		switch s.name {
		case ".plt", ".plt.sec", ".plt.got", ".iplt", ".init", ".fini":
			if s.flags&elf.SHF_EXECINSTR != 0 {
				plts = append(plts, s)
			}
		}
	}
	for _, s := range sortedByAddr(plts) {
		if b.known(s.addr) {
			continue
		}
		if s.name == ".init" || s.name == ".fini" {
			initRows(f, b, s)
			continue
		}
		if _, ok := b.begin(s.addr, s.addr+s.size); !ok {
			continue
		}
		if f.arch == ARM64 {
			b.row(s.addr, Rule{Kind: KindReg, Reg: armSP}, 0)
			continue
		}
		leaf := Rule{Kind: KindReg, Reg: amdRSP, Off: 8}
		if s.name != ".plt" || s.size%pltEntry != 0 {
			b.row(s.addr, leaf, 0)
			continue
		}
		b.row(s.addr, Rule{Kind: KindReg, Reg: amdRSP, Off: 16}, 0)
		b.row(s.addr+6, Rule{Kind: KindReg, Reg: amdRSP, Off: 24}, 0)
		b.row(s.addr+pltEntry, Rule{Kind: KindPLT, Reg: amdRSP, Off: 8 | (pltEntry-1)<<8 | pltPushed<<16 | 3<<24}, 0)
	}
}

// maxInit is far more than _init and _fini have.
const maxInit = 64

// initRows compiles _init or _fini of amd64 if it has the frame that glibc's crti
// and crtn give it (sysdeps/x86_64/crti.S): 8 bytes, from the first instruction,
// or the one after an endbr64, to the one before the last. Those of arm64 have
// frame pointers.
func initRows(f *image, b *builder, s section) {
	if f.arch != AMD64 || s.size > maxInit {
		return
	}
	code := f.bytes(s.off, s.size)
	rest := bytes.TrimPrefix(code, []byte{0xf3, 0x0f, 0x1e, 0xfa})
	enter, leave := []byte{0x48, 0x83, 0xec, 0x08}, []byte{0x48, 0x83, 0xc4, 0x08, 0xc3}
	if !bytes.HasPrefix(rest, enter) || !bytes.HasSuffix(rest[len(enter):], leave) {
		return
	}
	if _, ok := b.begin(s.addr, s.addr+s.size); !ok {
		return
	}
	body := s.addr + uint64(len(code)-len(rest)+len(enter))
	b.row(s.addr, Rule{Kind: KindReg, Reg: amdRSP, Off: 8}, 0)
	b.row(body, Rule{Kind: KindReg, Reg: amdRSP, Off: 16}, 0)
	b.row(s.addr+s.size-1, Rule{Kind: KindReg, Reg: amdRSP, Off: 8}, 0)
}

func sortedByAddr(s []section) []section {
	for i := range s {
		for j := i; j > 0 && s[j].addr < s[j-1].addr; j-- {
			s[j], s[j-1] = s[j-1], s[j]
		}
	}
	return s
}

// entryRows ends stacks at the entry of programs and loaders whose authors
// did not (ld.so, musl's crt1).
func entryRows(f *image, b *builder) {
	if f.entry == 0 || !f.program || b.known(f.entry) {
		return
	}
	if _, ok := b.begin(f.entry, f.entry+entryBytes); ok {
		b.row(f.entry, Rule{Kind: KindEnd}, 0)
	}
}

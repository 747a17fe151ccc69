package goheap

import (
	"debug/elf"
	"encoding/binary"

	"golang.org/x/arch/x86/x86asm"
)

// A use is what an instruction does with a variable of fixed address.
type use uint8

const (
	takes  use = iota + 1 // its address
	reads                 // its value; a comparison is one
	clears                // stores 0
	stores                // stores something else, or something unknown
)

// A ref is one instruction's use of a variable, whose address is an ELF virtual
// address. size is in bytes, 0 for takes.
type ref struct {
	addr uint64
	size int
	use  use
}

// refs returns the uses of fixed addresses in code at pc, in its order. Branches
// are not followed: Go's compilers make addresses right where they are used.
func refs(machine elf.Machine, code []byte, pc uint64) []ref {
	switch machine {
	case elf.EM_X86_64:
		return refsAMD64(code, pc)
	case elf.EM_AARCH64:
		return refsARM64(code, pc)
	}
	return nil
}

// refsAMD64 finds operands relative to the instruction pointer.
func refsAMD64(code []byte, pc uint64) (out []ref) {
	for len(code) > 0 {
		in, err := x86asm.Decode(code, 64)
		if err != nil || in.Len <= 0 {
			code, pc = code[1:], pc+1
			continue
		}
		code, pc = code[in.Len:], pc+uint64(in.Len)
		for i, a := range in.Args {
			m, ok := a.(x86asm.Mem)
			if !ok || m.Base != x86asm.RIP || m.Index != 0 {
				continue
			}
			r := ref{addr: pc + uint64(int64(int32(m.Disp))), size: in.MemBytes, use: reads}
			switch {
			case in.Op == x86asm.LEA:
				r.size, r.use = 0, takes
			case in.Op == x86asm.MOV && i == 0:
				r.use = stores
				if v, ok := in.Args[1].(x86asm.Imm); ok && v == 0 {
					r.use = clears
				}
			}
			out = append(out, r)
		}
	}
	return out
}

// refsARM64 follows ADRP into the ADD, load or store that completes the address
// (Arm Architecture Reference Manual, C4.1). Whatever else an instruction writes is
// forgotten, and everything at a call.
func refsARM64(code []byte, pc uint64) (out []ref) {
	var known [32]uint64 // registers' values, 0 when not known
	for ; len(code) >= 4; code, pc = code[4:], pc+4 {
		w := binary.LittleEndian.Uint32(code)
		rd, rn := w&31, w>>5&31
		imm12 := uint64(w >> 10 & 0xfff)
		size := 1 << (w >> 30)
		base := known[rn]
		if rn == 31 {
			base = 0 // the stack pointer
		}
		switch {
		case w&0x9f000000 == 0x90000000: // ADRP
			pages := int64(int32(w<<8)>>13)<<2 | int64(w>>29&3)
			known[rd] = pc&^0xfff + uint64(pages<<12)
		case w&0xff800000 == 0x91000000: // ADD immediate, 64 bits
			known[rd] = 0
			if base != 0 {
				known[rd] = base + imm12<<(w>>22&1*12)
				out = append(out, ref{known[rd], 0, takes})
			}
		case w&0x3f000000 == 0x39000000: // load or store, unsigned offset
			load := w>>22&3 != 0
			if base != 0 {
				r := ref{base + imm12*uint64(size), size, reads}
				if !load {
					r.use = stores
					if rd == 31 {
						r.use = clears
					}
				}
				out = append(out, r)
			}
			if load {
				known[rd] = 0
			}
		case w&0x3ffffc00 == 0x08dffc00: // LDAR
			if base != 0 {
				out = append(out, ref{base, size, reads})
			}
			known[rd] = 0
		case w&0x3ffffc00 == 0x089ffc00: // STLR
			if base != 0 {
				out = append(out, ref{base, size, stores})
			}
		case w&0x7c000000 == 0x14000000: // B, BL
			if w>>31 == 1 {
				known = [32]uint64{}
			}
		case w&0xfe000000 == 0x54000000 || w&0x7c000000 == 0x34000000: // conditional branches, CBZ, TBZ
		default:
			known[rd] = 0
		}
	}
	return out
}

package unwind

import "debug/elf"

// Arch is the machine that a table is for.
type Arch uint8

const (
	AMD64 Arch = iota + 1
	ARM64
)

func (a Arch) String() string {
	switch a {
	case AMD64:
		return "amd64"
	case ARM64:
		return "arm64"
	}
	return "unknown"
}

// DWARF register numbers: System V ABI AMD64 figure 3.36, DWARF for the Arm 64-bit
// Architecture section 4.1.
const (
	amdRAX, amdRDX, amdRCX, amdRBX, amdRSI, amdRDI, amdRBP, amdRSP = 0, 1, 2, 3, 4, 5, 6, 7
	amdIndex                                                       = 9 // of KindIndexed
	amdRIP                                                         = 16

	armFP, armLR, armSP = 29, 30, 31
)

// SP, FP and RA are the DWARF numbers of stack pointer, frame pointer and the
// column of the return address.
func (a Arch) SP() uint8 {
	if a == ARM64 {
		return armSP
	}
	return amdRSP
}

func (a Arch) FP() uint8 {
	if a == ARM64 {
		return armFP
	}
	return amdRBP
}

func (a Arch) RA() uint8 {
	if a == ARM64 {
		return armLR
	}
	return amdRIP
}

// registers is the number of general registers, stack pointer included.
func (a Arch) registers() uint64 {
	if a == ARM64 {
		return 32
	}
	return 16
}

func archOf(m elf.Machine) (Arch, bool) {
	switch m {
	case elf.EM_X86_64:
		return AMD64, true
	case elf.EM_AARCH64:
		return ARM64, true
	}
	return 0, false
}

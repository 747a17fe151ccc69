package usdt

import (
	"debug/elf"
	"strconv"
	"strings"
)

// An Arg says where an argument is when the probe is passed.
type Arg struct {
	// Register is its place among the registers that Linux saves (struct pt_regs; struct user_pt_regs of arm64), in words;
	// -1: the argument is not a whole register, but in memory, or a constant.
	Register int
	Text     string // as the note has it
}

type arch int

const (
	amd64 arch = iota
	arm64
)

func architecture(m elf.Machine) (arch, bool) {
	switch m {
	case elf.EM_X86_64:
		return amd64, true
	case elf.EM_AARCH64:
		return arm64, true
	}
	return 0, false
}

const maxArgs = 12 // sys/sdt.h

// parseArgs reads SIZE@OPERAND, with the operand in the assembler's syntax.
func parseArgs(text string, a arch) (args []Arg) {
	for _, field := range strings.Fields(text) {
		if len(args) == maxArgs {
			return args
		}
		args = append(args, parseArg(field, a))
	}
	return args
}

func parseArg(text string, a arch) Arg {
	out := Arg{Register: -1, Text: text}
	size, operand, ok := strings.Cut(text, "@")
	if n, err := strconv.Atoi(size); !ok || err != nil || n != 8 && n != -8 {
		return out
	}
	if a == arm64 {
		if n, err := strconv.Atoi(strings.TrimPrefix(operand, "x")); err == nil && operand[0] == 'x' && n >= 0 && n <= 30 {
			out.Register = n
		}
		return out
	}
	name, ok := strings.CutPrefix(operand, "%")
	if !ok {
		return out
	}
	// arch/x86/include/asm/ptrace.h
	for i, r := range []string{"r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi"} {
		if name == r {
			out.Register = i
		}
	}
	return out
}

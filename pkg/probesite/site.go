// Package probesite chooses the instruction of a function's entry at which a uprobe costs least and does no harm.
//
// A uprobe replaces an instruction with a breakpoint. What the kernel can emulate costs one trap; anything else is
// executed out of line under single-stepping, which is a second trap, and many times dearer under a hypervisor. Where
// the probe is put decides which (docs/memory.md has figures).
package probesite

import (
	"errors"
	"fmt"
)

// An Arch is an instruction set.
type Arch uint8

// The instruction sets that this package decodes.
const (
	AMD64 Arch = iota
	ARM64
)

// A Class says what the kernel does with the instruction under a probe.
type Class uint8

// Classes, the cheapest first.
const (
	Emulated Class = iota // in the breakpoint's own handler
	Stepped               // out of line, with a second trap
)

func (c Class) String() string {
	if c == Emulated {
		return "emulated"
	}
	return "single-stepped"
}

// Options say what a site must keep. The zero value asks for nothing but the entry.
type Options struct {
	Arch Arch
	// Args is how many of the integer argument registers still hold the arguments at the site, from the first on.
	Args int
	// Return asks for the return address where it was at the entry, as return probes need.
	Return bool
	// Partial: there is more of the function than is known.
	Partial bool
}

// A Site is where to put the probe.
type Site struct {
	Offset int // bytes after the function's entry
	Class  Class
	// Loops: code of the function jumps back to its entry, so that one call may hit the probe more than once.
	Loops bool
	// Instruction at the site, in the syntax of Go's disassembler.
	Instruction string
	// Reason says why no emulated instruction was found; "" for Emulated.
	Reason string
}

// MaxCode is how much of a function Choose looks at. What lies behind is taken to jump nowhere near the entry: it could
// not by a short jump.
const MaxCode = 64 << 10

// ErrUnprobeable means that the kernel refuses a probe on this function's entry, or that it is no code.
var ErrUnprobeable = errors.New("no instruction that can be probed")

// Choose returns the best site in the entry block of the function whose code, from its entry to its end, is code. A site
// is executed once per call, before anything that o keeps changes; nothing jumps to it or to what is before it, other
// than a call. It never is a NOP of five bytes but at the entry itself: 6.18 turns that into a call, which writes below
// the stack pointer, where a function without calls may keep data (the red zone of the System V ABI for AMD64, 3.2.2). For
// the same reason it is not at an entry of that kind to which the function jumps back, or may do so.
//
// Errors: wraps ErrUnprobeable.
func Choose(code []byte, o Options) (Site, error) {
	if len(code) > MaxCode {
		code, o.Partial = code[:MaxCode], true
	}
	var d decoder = amd64{}
	if o.Arch == ARM64 {
		d = arm64{}
	}
	first, ok := d.decode(code)
	if !ok || first.refused {
		return Site{}, fmt.Errorf("choose probe site: %w", ErrUnprobeable)
	}
	back := firstTarget(d, code)
	entry := Site{Class: Stepped, Instruction: first.text, Loops: back == 0}
	if first.emulated {
		entry.Class = Emulated
		return entry, nil
	}
	site, reason := walk(d, code, o, back)
	if reason != "" {
		if first.nop5 && (entry.Loops || o.Partial) {
			return Site{}, fmt.Errorf("choose probe site: NOP of five bytes that may be in a loop: %w", ErrUnprobeable)
		}
		entry.Reason = reason
		return entry, nil
	}
	site.Loops = entry.Loops
	return site, nil
}

// walk looks for an emulated instruction in the entry block, before the byte at back, which something jumps to.
func walk(d decoder, code []byte, o Options, back int) (Site, string) {
	for at := 0; at < len(code); {
		ins, ok := d.decode(code[at:])
		switch {
		case !ok:
			return Site{}, "an instruction of the entry is not known"
		case at > 0 && back > 0 && at >= back:
			return Site{}, "something jumps into the entry"
		case at > 0 && ins.emulated && !ins.nop5 && !ins.refused:
			return Site{Offset: at, Class: Emulated, Instruction: ins.text}, ""
		case ins.ends:
			return Site{}, "the entry ends before an instruction that can be emulated"
		case ins.opaque:
			return Site{}, "an instruction of the entry may change the arguments: " + ins.text
		case ins.writes&(1<<o.Args-1) != 0:
			return Site{}, "an argument changes before an instruction that can be emulated"
		case o.Return && ins.movesReturn:
			return Site{}, "the return address moves before an instruction that can be emulated"
		}
		at += ins.size
	}
	return Site{}, "the function ends before an instruction that can be emulated"
}

// firstTarget is the lowest offset that direct jumps of the function lead to; -1 without any. Code that is not decoded
// is skipped by the smallest step: a jump too many costs a dearer site, one too few a wrong count.
func firstTarget(d decoder, code []byte) int {
	lowest := -1
	for at := 0; at < len(code); {
		ins, ok := d.decode(code[at:])
		if !ok {
			at += d.step()
			continue
		}
		if ins.jumps {
			if to := at + ins.target; to >= 0 && to < len(code) && (lowest < 0 || to < lowest) {
				lowest = to
			}
		}
		at += ins.size
	}
	return lowest
}

// An instruction is what this package wants to know of one.
type instruction struct {
	size     int
	text     string
	emulated bool
	refused  bool // the kernel does not put a probe on it
	nop5     bool
	jumps    bool // to target, an offset from its own address
	target   int
	ends     bool // the block: what follows may not be executed
	// opaque: what it writes is not known here.
	opaque      bool
	writes      uint // bit per argument register, from the first on
	movesReturn bool // the return address is no longer where return probes look for it
}

type decoder interface {
	decode(code []byte) (instruction, bool)
	step() int // the smallest size of an instruction
}

// Jumps calls f with the target, in bytes from the entry, of every direct jump that leaves the function. What it jumps to
// may be another function, which then works in its place.
func Jumps(code []byte, arch Arch, f func(target int)) {
	var d decoder = amd64{}
	if arch == ARM64 {
		d = arm64{}
	}
	for at := 0; at < len(code); {
		ins, ok := d.decode(code[at:])
		if !ok {
			at += d.step()
			continue
		}
		if to := at + ins.target; ins.jumps && (to < 0 || to >= len(code)) {
			f(to)
		}
		at += ins.size
	}
}

// Slot returns the address that code at vaddr jumps through, as the stubs of a procedure linkage table do.
func Slot(code []byte, vaddr uint64, arch Arch) (slot uint64, ok bool) {
	if arch == ARM64 {
		return slotARM64(code, vaddr)
	}
	return slotAMD64(code, vaddr)
}

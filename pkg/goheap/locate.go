package goheap

import (
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"io"
	"os"

	"github.com/ebpfprof/ebpfprof/pkg/symbolize"
)

// A variable is one of the runtime's.
type variable int

const (
	mbuckets               variable = iota // *bucket, memory
	bbuckets                               // *bucket, blocking
	xbuckets                               // *bucket, mutexes
	mProfCycle                             // uint32: cycle<<1 | flushed
	memProfileRate                         // int
	disableMemoryProfiling                 // bool, set by the linker
	blockProfileRate                       // uint64, ticks
	mutexProfileRate                       // uint64
	stackDepth                             // int32, debug.profstackdepth since Go 1.23
	ticksVal                               // int64, ticks per second, 0 until computed
	numVariables
)

func (v variable) String() string {
	return [numVariables]string{
		"runtime.mbuckets", "runtime.bbuckets", "runtime.xbuckets", "runtime.mProfCycle",
		"runtime.MemProfileRate", "runtime.disableMemoryProfiling", "runtime.blockprofilerate",
		"runtime.mutexprofilerate", "runtime.debug.profstackdepth", "runtime.ticks.val",
	}[v]
}

// size is the number of bytes of the variable.
func (v variable) size() uint64 {
	switch v {
	case disableMemoryProfiling:
		return 1
	case mProfCycle, stackDepth:
		return 4
	}
	return 8
}

// A Layout is where the runtime's variables are in one program file. It holds no
// reference to the file.
type Layout struct {
	// GoVersion is what the program says of itself ("go1.25.5"), "" if it does not.
	GoVersion string
	// Symbols tells whether the variables were found by .symtab, else by code.
	Symbols bool

	addrs [numVariables]uint64 // ELF virtual addresses, 0: not found
	fixed bool                 // runs where it was linked, not position independent
	entry uint64
	lo    uint64 // lowest and highest address of the file's writable segments
	hi    uint64
}

// maxCode bounds a function that is decoded; the runtime's are some 2 KiB.
const maxCode = 64 << 10

// Locate finds the runtime's variables in a program of size bytes. The error is
// ErrUnsupported with the reason. It reads the file for some milliseconds; see
// Cache. obj is the same file.
func Locate(r io.ReaderAt, obj *symbolize.Object) (*Layout, error) {
	f, err := elf.NewFile(r)
	if err != nil {
		return nil, unsupported("%v", err)
	}
	if f.Class != elf.ELFCLASS64 || (f.Machine != elf.EM_X86_64 && f.Machine != elf.EM_AARCH64) {
		return nil, unsupported("a program for %v, %v", f.Machine, f.Class)
	}
	if !obj.IsGo() {
		return nil, unsupported("not a Go program")
	}
	l := &Layout{fixed: f.Type == elf.ET_EXEC, entry: f.Entry}
	if info, err := buildinfo.Read(r); err == nil {
		l.GoVersion = info.GoVersion
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_LOAD || p.Flags&elf.PF_W == 0 || p.Vaddr+p.Memsz < p.Vaddr {
			continue
		}
		if l.lo == 0 || p.Vaddr < l.lo {
			l.lo = p.Vaddr
		}
		l.hi = max(l.hi, p.Vaddr+p.Memsz)
	}
	code := newDecoder(f, obj)
	if len(code.functions) == 0 {
		return nil, unsupported("%s: no table of Go functions of a known form", orUnknown(l.GoVersion))
	}
	l.fromCode(code)
	if symbols := variableSymbols(f); len(symbols) > 0 {
		l.fromSymbols(symbols)
	}
	return l, l.check()
}

// fromSymbols takes what the symbol table says. What it does not have stays as the
// code said: a field of a struct has no symbol.
func (l *Layout) fromSymbols(symbols map[string]uint64) {
	for v := range numVariables {
		if addr := symbols[v.String()]; addr != 0 {
			l.addrs[v] = addr
			l.Symbols = l.Symbols || v == mbuckets
		}
	}
}

// check refuses a layout without what a memory profile needs, or whose variables
// are not apart in writable memory.
func (l *Layout) check() error {
	for v := range numVariables {
		addr := l.addrs[v]
		if addr == 0 {
			if v <= disableMemoryProfiling && v != bbuckets && v != xbuckets {
				return unsupported("%s: %v is not where this version of the profiler looks for it", orUnknown(l.GoVersion), v)
			}
			continue
		}
		if addr%v.size() != 0 || addr < l.lo || addr >= l.hi || l.hi-addr < v.size() {
			return unsupported("%s: %v at %#x is in no writable segment", orUnknown(l.GoVersion), v, addr)
		}
		for w := range v {
			if l.addrs[w] == addr {
				return unsupported("%s: %v and %v at one address", orUnknown(l.GoVersion), v, w)
			}
		}
	}
	return nil
}

// fits tells whether the layout can be that of a program that starts at entry, and
// returns what to add to its addresses.
func (l *Layout) bias(entry uint64) (uint64, error) {
	bias := entry - l.entry
	if bias%uint64(os.Getpagesize()) != 0 || (l.fixed && bias != 0) {
		return 0, unsupported("the program starts at %#x, which its file does not agree with", entry)
	}
	return bias, nil
}

func orUnknown(version string) string {
	if version == "" {
		return "unknown version of Go"
	}
	return fmt.Sprintf("%.64s", version)
}

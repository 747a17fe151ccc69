package allocator

import (
	"cmp"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/ebpfprof/ebpfprof/pkg/probesite"
)

// A Library is an object file that allocates memory.
type Library struct {
	// Family is the allocator: "glibc", "musl", "jemalloc", "tcmalloc", "mimalloc", or "unknown".
	Family    string
	Functions []Function // by offset
}

// A Function is one of a library.
type Function struct {
	Role
	Name  string // the shortest of its names
	Entry uint64 // its file offset
	Bytes uint64 // its size; calls from within are the library's own
	// Vaddr of the entry, as the file's program headers say.
	Vaddr uint64
	Site  probesite.Site
	// NullElsewhere: with no old memory, it hands on to another of the functions, which is probed too.
	NullElsewhere bool
}

// ErrNone means that the file has no functions that allocate.
var ErrNone = errors.New("no allocator in this file")

// maxFunctions is more than the names of all allocators that are known.
const maxFunctions = 256

// Find reads the symbols of an ELF file, and chooses the probe sites of what allocates and frees in it. Names at one
// address are one function; a function that jumps to another of them is left out, because it is counted there, and so are operators of C++ that call
// malloc. ret asks for sites where return probes work.
//
// Errors: wraps ErrNone when there is no such function.
func Find(r io.ReaderAt, ret bool) (Library, error) {
	f, err := elf.NewFile(r)
	if err != nil {
		return Library{}, fmt.Errorf("find allocator: %w", err)
	}
	var arch probesite.Arch
	switch f.Machine {
	case elf.EM_X86_64:
	case elf.EM_AARCH64:
		arch = probesite.ARM64
	default:
		return Library{}, fmt.Errorf("find allocator: %s: %w", f.Machine, ErrNone)
	}
	found, family := named(f)
	if !slices.ContainsFunc(found, func(n Function) bool { return n.Size != NoSize && !n.New }) {
		return Library{}, fmt.Errorf("find allocator: %w", ErrNone)
	}
	l := Library{Family: family}
	fwd := newForwarding(f, arch, found)
	for _, fn := range found {
		if fn.New && !ownsOperators(family) {
			continue
		}
		code, offset := codeOf(f, fn.Vaddr, fn.Bytes)
		if code == nil {
			continue
		}
		var elsewhere bool
		if elsewhere, fn.NullElsewhere = fwd.handsOn(fn, code); elsewhere {
			continue
		}
		fn.Entry = offset
		fn.Site, err = probesite.Choose(code, probesite.Options{
			Arch: arch, Args: max(1, fn.Size.args()), Return: ret, Partial: uint64(len(code)) != fn.Bytes,
		})
		if err != nil {
			continue
		}
		l.Functions = append(l.Functions, fn)
	}
	if len(l.Functions) == 0 {
		return Library{}, fmt.Errorf("find allocator: no function can be probed: %w", ErrNone)
	}
	return l, nil
}

// ownsOperators: these bring operators new and delete that do not call malloc. libstdc++'s do.
func ownsOperators(family string) bool {
	return family == "jemalloc" || family == "tcmalloc" || family == "mimalloc"
}

// named returns the functions with names that are known, by address, and whose they are.
func named(f *elf.File) ([]Function, string) {
	table := roles()
	byAddr := map[uint64]Function{}
	var whose family
	eachSymbol(f, func(s symbol) {
		whose.see(string(s.name))
		if !s.function || s.value == 0 {
			return
		}
		role, _, ok := lookup(table, string(s.name))
		if !ok {
			return
		}
		known, seen := byAddr[s.value]
		if !seen && len(byAddr) == maxFunctions {
			return
		}
		fn := Function{Role: role, Name: string(s.name), Vaddr: s.value, Bytes: s.size}
		if seen {
			// One address under several names, such as malloc and operator new of tcmalloc: it is what the plainest name
			// says. Sizes are the same, or it could not be one function.
			if len(known.Name) < len(fn.Name) || len(known.Name) == len(fn.Name) && known.Name < fn.Name {
				fn.Name = known.Name
			}
			fn.New = fn.New && known.New
			fn.Frees = fn.Frees || known.Frees
			fn.Bytes = max(fn.Bytes, known.Bytes)
			if known.Size != NoSize {
				fn.Size = known.Size
			}
		}
		byAddr[s.value] = fn
	})
	var list []Function
	for _, fn := range byAddr {
		list = append(list, fn)
	}
	slices.SortFunc(list, func(a, b Function) int { return cmp.Compare(a.Vaddr, b.Vaddr) })
	return list, whose.name()
}

// A family is what the names in a file tell of its allocator.
type family struct {
	jemalloc, tcmalloc, mimalloc, glibc, libc bool
}

// see takes note of names that no other allocator has.
func (f *family) see(symbol string) {
	switch symbol {
	case "mallocx", "je_mallocx", "_rjem_mallocx":
		f.jemalloc = true
	case "tc_malloc":
		f.tcmalloc = true
	case "mi_malloc":
		f.mimalloc = true
	case "gnu_get_libc_version", "_int_malloc": // shared, static
		f.glibc = true
	case "__libc_start_main":
		f.libc = true
	}
}

// name: a static program has its C library beside another allocator, which then is the one that malloc is.
func (f family) name() string {
	switch {
	case f.jemalloc:
		return "jemalloc"
	case f.tcmalloc:
		return "tcmalloc"
	case f.mimalloc:
		return "mimalloc"
	case f.glibc:
		return "glibc"
	case f.libc:
		return "musl"
	}
	return "unknown"
}

// codeOf reads a function, and tells where in the file it starts.
func codeOf(f *elf.File, vaddr, bytes uint64) ([]byte, uint64) {
	for _, p := range f.Progs {
		if p.Type != elf.PT_LOAD || p.Flags&elf.PF_X == 0 || vaddr < p.Vaddr || vaddr-p.Vaddr >= p.Filesz {
			continue
		}
		within := vaddr - p.Vaddr
		if bytes == 0 {
			bytes = minCode
		}
		size := min(p.Filesz-within, probesite.MaxCode, bytes)
		code := make([]byte, size)
		n, err := p.ReadAt(code, int64(within))
		if err != nil && !errors.Is(err, io.EOF) || n == 0 {
			return nil, 0
		}
		return code[:n], p.Off + within
	}
	return nil, 0
}

// minCode is read of a function whose size its symbol does not tell, as hand-written assembly leaves it out.
const minCode = 64

// Within reports whether a file offset lies in one of the library's functions: a call from there is its own.
func (l Library) Within(offset uint64) bool {
	i, found := slices.BinarySearchFunc(l.Functions, offset, func(f Function, o uint64) int { return cmp.Compare(f.Entry, o) })
	if found {
		return true
	}
	return i > 0 && offset-l.Functions[i-1].Entry < l.Functions[i-1].Bytes
}

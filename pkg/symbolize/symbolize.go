// Package symbolize names addresses: address -> frames, innermost first.
//
// It has two halves. An [Object] is an ELF file (or the vDSO's image); addresses
// in it are ELF virtual addresses, never those of a process, so one Object serves
// every process that maps the file. A [Kernel] is the content of /proc/kallsyms.
//
// Everything read is taken for hostile: sizes are bounded, reads go through
// io.ReaderAt (a file is never mapped, so a truncated one cannot raise SIGBUS),
// and whatever cannot be understood is an address without a name, not an error.
// No name is guessed: an address past the end of its symbol has none.
//
// An address is that of an instruction. For a caller's frame pass the return
// address minus one, which lies inside the call.
package symbolize

import "github.com/ebpfprof/ebpfprof/pkg/profile"

// A resolver is one source of names for the addresses of one object. Its methods
// are called with the Object's lock held.
type resolver interface {
	// frames names an ELF virtual address, innermost first; nil when unknown.
	frames(vaddr uint64) []profile.Frame
	// memory returns the bytes of memory held, other than the object's pages.
	memory() int64
	// release closes what the resolver opened.
	release()
}

// maxName bounds a name read from a file. Longer C++ names exist but say nothing
// more to a reader; they are cut.
const maxName = 8 << 10

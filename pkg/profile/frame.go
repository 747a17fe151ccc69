package profile

// A Frame is one source-level function at an address. Where calls were inlined,
// one address has several frames, innermost first.
type Frame struct {
	Name       string // demangled, UTF-8
	SystemName string // as the symbol table has it; "" means the same as Name
	File       string // source file, "" when unknown
	Line       int64  // 1-based line in File, 0 when unknown
	StartLine  int64  // line of the function's declaration, 0 when unknown
}

// A Mapping is one executable segment of an object file, or a pseudo object such
// as [kernel]. Addresses within it are those of the object file itself (ELF
// virtual addresses), not of one process, so that profiles of many processes
// share locations and `go tool pprof` can open the object.
type Mapping struct {
	Start, Limit uint64 // ELF virtual addresses; 0, 0 for a pseudo object
	Offset       uint64 // file offset of Start
	File         string // path as the process saw it, or a name in brackets
	BuildID      string // lower-case hex of .note.gnu.build-id, or Go's build ID, or ""
}

// Names of pseudo mappings. A mapping whose file is in brackets is never a path.
const (
	KernelMapping = "[kernel]"
	VDSOMapping   = "[vdso]"
	JITMapping    = "[jit]" // anonymous executable memory
)

package symbolize

import (
	"debug/elf"
	"fmt"
	"io"
	"sync"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// An Object is an object file opened for naming. It holds only its headers until
// the first address is asked for; then indexes of at most 12 bytes a function and
// a page cache of 256 KiB, until Release. It reads from its reader for as long as
// it is used, and never closes it. Safe for concurrent use.
type Object struct {
	r       io.ReaderAt
	size    int64
	text    []Segment
	buildID string
	isGo    bool
	entry   uint64

	mu        sync.Mutex
	pages     pages
	debug     DebugDirs
	path      string
	resolvers []resolver // nil until built; see load
	loaded    bool
}

// NewObject parses the headers of an ELF file of size bytes (about six reads). It
// fails with ErrNotELF, or when nothing in the file is executable.
func NewObject(r io.ReaderAt, size int64) (*Object, error) {
	f, err := readFile(r, size)
	if err != nil {
		return nil, err
	}
	o := &Object{r: r, size: size, text: f.executable(), pages: pages{r: r, size: size}, entry: f.entry}
	if len(o.text) == 0 {
		return nil, fmt.Errorf("read program headers: no executable segment")
	}
	o.buildID, o.isGo = f.readBuildID(r, size)
	if !o.isGo {
		o.isGo = f.pclntab() != nil || f.section(".go.buildinfo") != nil
	}
	return o, nil
}

// SetDebug says where a separate debug file may be. path is the object's own path
// as this process can open its neighbours, or "" when the neighbours are not to
// be opened; without a call, the zero DebugDirs and "" are used. A debug file is
// taken only if its build ID, or else its checksum, is the one that the object
// names. It stays open until Release. Call SetDebug before Frames.
func (o *Object) SetDebug(dirs DebugDirs, path string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.debug, o.path = dirs, path
}

// BuildID returns the GNU build ID in lower-case hex; for a Go program without
// one, 20 bytes of the SHA-256 of Go's build ID; "" if there is none.
func (o *Object) BuildID() string { return o.buildID }

// Entry returns the address at which a program, or the loader, starts; 0 when there is none.
func (o *Object) Entry() uint64 { return o.entry }

// IsGo reports whether the object holds code of Go's compiler.
func (o *Object) IsGo() bool { return o.isGo }

// Executable returns the executable segments in the order of the file. The caller
// must not change them.
func (o *Object) Executable() []Segment { return o.text }

// Address converts a file offset in an executable segment to an ELF virtual
// address.
func (o *Object) Address(fileOffset uint64) (vaddr uint64, ok bool) {
	for _, s := range o.text {
		if fileOffset >= s.Offset && fileOffset-s.Offset < s.Filesz {
			return s.Vaddr + (fileOffset - s.Offset), true
		}
	}
	return 0, false
}

// Mapping describes the executable segment that holds vaddr, as pprof wants it;
// file is the path to show. For an address in no segment it has no range.
func (o *Object) Mapping(vaddr uint64, file string) profile.Mapping {
	m := profile.Mapping{File: file, BuildID: o.buildID}
	if s, ok := segmentOf(o.text, vaddr); ok {
		m.Start, m.Limit, m.Offset = s.Vaddr, s.Vaddr+s.Memsz, s.Offset
	}
	return m
}

// Frames names an ELF virtual address: the functions there, innermost first,
// several where calls were inlined. It is nil when the address is in no function
// that the object, or its debug file, knows.
func (o *Object) Frames(vaddr uint64) []profile.Frame {
	if _, ok := segmentOf(o.text, vaddr); !ok {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.loaded {
		o.load()
	}
	for _, r := range o.resolvers {
		if f := r.frames(vaddr); f != nil {
			return f
		}
	}
	return nil
}

// load builds the resolvers, best first: Go's table (lines and inlining), then
// the fullest symbol table there is.
func (o *Object) load() {
	o.loaded = true
	f, err := readFile(o.r, o.size)
	if err != nil {
		return // the file changed under us
	}
	if o.isGo || len(f.sections) == 0 {
		if t := newGoTable(&o.pages, f); t != nil {
			o.resolvers = append(o.resolvers, t)
		}
	}
	if s := newSymbols(&o.pages, f, f.sectionOf(elf.SHT_SYMTAB), o.text); s != nil {
		o.resolvers = append(o.resolvers, s)
		return
	}
	if df, ff := o.debug.find(o.r, o.size, f, o.buildID, o.path); df != nil {
		p := &pages{r: df, size: df.Size()}
		if s := newSymbols(p, ff, ff.sectionOf(elf.SHT_SYMTAB), o.text); s != nil {
			s.separate = df
			o.resolvers = append(o.resolvers, s)
			return
		}
		df.Close()
	}
	if s := newSymbols(&o.pages, f, f.sectionOf(elf.SHT_DYNSYM), o.text); s != nil {
		o.resolvers = append(o.resolvers, s)
	}
}

// MemoryBytes returns the bytes held by indexes and caches.
func (o *Object) MemoryBytes() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.pages.memory()
	for _, r := range o.resolvers {
		n += r.memory()
	}
	return n
}

// Release drops indexes and caches and closes the debug file. They come back on
// demand, as long as the reader given to NewObject works.
func (o *Object) Release() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.resolvers {
		r.release()
	}
	o.resolvers, o.loaded = nil, false
	o.pages.drop()
}

package agent

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/ebpfprof/ebpfprof/pkg/allocator"
	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/probesite"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

// A library is an object file that was looked into. It is not changed afterwards, but for its file, which Close closes.
type library struct {
	name   string
	inode  inode
	file   *os.File // nil: it allocates nothing
	probes []loader.AllocProbe
	found  allocator.Library
}

// An inode names a file as stat(2) does, which is not as mappings do on some file systems.
type inode struct{ dev, ino uint64 }

// maxAllocFiles bounds the files that are remembered: all that code runs from, most without an allocator.
const maxAllocFiles = 16 << 10

// library looks into a file once.
func (a *Allocations) library(e proc.Executable) *library {
	a.mu.Lock()
	l, known := a.libraries[e.ID]
	full := len(a.libraries) >= maxAllocFiles
	a.mu.Unlock()
	if known || full {
		return l
	}
	l = a.open(e.Hint.Path, func() (*os.File, error) {
		f, _, err := a.options.FS.OpenObject(e.ID, e.Hint)
		return f, err
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	a.libraries[e.ID] = l
	return l
}

// open finds the allocator in a file; nil if it cannot be read.
func (a *Allocations) open(name string, open func() (*os.File, error)) *library {
	f, err := open()
	if err != nil {
		return nil
	}
	var st unix.Stat_t
	if unix.Fstat(int(f.Fd()), &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		f.Close()
		return nil
	}
	l := &library{name: name, inode: inode{st.Dev, st.Ino}}
	if known := a.byInode[l.inode]; known != nil {
		f.Close()
		return known
	}
	a.byInode[l.inode] = l
	if l.found, err = allocator.Find(f, true); err == nil {
		l.probes = allocProbes(l.found, a.options.Frees)
	}
	if len(l.probes) == 0 {
		f.Close()
		return l
	}
	l.file = f
	return l
}

// allocProbes are the probes on what allocates, and, with frees, on what frees.
func allocProbes(l allocator.Library, frees bool) (probes []loader.AllocProbe) {
	for _, f := range l.Functions {
		if f.Size == allocator.NoSize && !frees {
			continue
		}
		probes = append(probes, loader.AllocProbe{
			Offset: f.Entry + uint64(f.Site.Offset), Size: allocSize(f.Size), NullElsewhere: f.NullElsewhere,
			Stepped: f.Site.Class == probesite.Stepped, Frees: frees && f.Frees,
		})
	}
	return probes
}

// probesOf are the library's, counted in an account.
func (l *library) probesOf(account int) []loader.AllocProbe {
	out := make([]loader.AllocProbe, len(l.probes))
	for i, p := range l.probes {
		p.Account = account
		out[i] = p
	}
	return out
}

func allocSize(s allocator.Size) loader.AllocSize {
	switch s {
	case allocator.Arg0:
		return loader.AllocArg0
	case allocator.Arg1:
		return loader.AllocArg1
	case allocator.Arg2:
		return loader.AllocArg2
	case allocator.Arg0Arg1:
		return loader.AllocArg0Arg1
	case allocator.Arg1Arg2:
		return loader.AllocArg1Arg2
	}
	return loader.AllocNone
}

// Nested reports whether a sample is of a call from within an allocator, such as that of malloc in musl's calloc: the
// outer call is sampled by itself. What is left out so is counted.
func (a *Allocations) Nested(s *loader.Sample) bool {
	if len(s.User) == 0 {
		return false
	}
	caller := s.User[0]
	for i := range s.VMAs {
		v := &s.VMAs[i]
		if caller < v.Start || caller >= v.End || v.Kind != loader.VMAFile {
			continue
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		l := a.libraries[proc.FileID(v.File)]
		if l == nil || len(l.probes) == 0 || !l.found.Within(caller-v.Start+v.Offset) {
			return false
		}
		a.nested++
		return true
	}
	return false
}

// NestedSamples is how many samples Nested has left out.
func (a *Allocations) NestedSamples() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.nested
}

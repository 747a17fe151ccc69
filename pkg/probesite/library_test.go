package probesite

import (
	"debug/elf"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// The functions of the C library that matter most have a cheap site in every build seen so far, or their entry has
// nothing that can be emulated: then the reason says so.
func TestChooseInLibraries(t *testing.T) {
	var libs []string
	for _, pattern := range []string{
		"/lib/*-linux-gnu/libc.so.6", "/usr/lib/*-linux-gnu/libstdc++.so.6", "/usr/lib/*-linux-gnu/libjemalloc.so.2",
		"/usr/lib/*-linux-gnu/libtcmalloc_minimal.so.4", "/usr/lib/*-linux-gnu/libmimalloc.so.2*", "/lib/*-linux-musl/libc.so",
	} {
		found, _ := filepath.Glob(pattern)
		libs = append(libs, found...)
	}
	if len(libs) == 0 {
		t.Skip("no C library where Debian puts it")
	}
	o := Options{Args: 2}
	if runtime.GOARCH == "arm64" {
		o.Arch = ARM64
	}
	for _, lib := range libs {
		for _, name := range []string{"malloc", "free", "calloc", "realloc", "posix_memalign", "aligned_alloc", "memalign", "_Znwm", "_ZdlPv"} {
			code := function(t, lib, name)
			if code == nil {
				continue
			}
			site, err := Choose(code, o)
			if err != nil {
				t.Errorf("%s in %s: %v", name, lib, err)
				continue
			}
			t.Logf("%s %s: +%d %q %s %s", filepath.Base(lib), name, site.Offset, site.Instruction, site.Class, site.Reason)
			if name == "malloc" && filepath.Base(lib) == "libc.so.6" && site.Class != Emulated {
				t.Errorf("malloc in %s has no cheap site: %s", lib, site.Reason)
			}
		}
	}
}

// function returns the code of a dynamic symbol of lib, nil without it.
func function(t *testing.T, lib, name string) []byte {
	f, err := os.Open(lib)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	obj, err := elf.NewFile(f)
	if err != nil {
		t.Fatal(err)
	}
	syms, err := obj.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range syms {
		if s.Name != name || s.Value == 0 || elf.ST_TYPE(s.Info) != elf.STT_FUNC {
			continue
		}
		for _, p := range obj.Progs {
			if p.Type == elf.PT_LOAD && s.Value >= p.Vaddr && s.Value < p.Vaddr+p.Filesz {
				code := make([]byte, max(1, s.Size))
				if _, err := p.ReadAt(code, int64(s.Value-p.Vaddr)); err != nil && err != io.EOF {
					t.Fatal(err)
				}
				return code
			}
		}
	}
	return nil
}

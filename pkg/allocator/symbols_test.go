package allocator

import (
	"debug/elf"
	"os"
	"path/filepath"
	"testing"
)

// The symbols are those that debug/elf finds.
func TestSymbolsAsDebugELF(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	paths, _ := filepath.Glob("/lib/*-linux-gnu/libc.so.6")
	for _, path := range append(paths, self) {
		f, err := elf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		want := map[symbolKey]int{}
		dynamic, _ := f.DynamicSymbols()
		static, _ := f.Symbols()
		for _, s := range append(dynamic, static...) {
			if s.Section != elf.SHN_UNDEF && len(s.Name) < maxName {
				want[symbolKey{s.Name, s.Value, s.Size, elf.ST_TYPE(s.Info) == elf.STT_FUNC}]++
			}
		}
		n := 0
		eachSymbol(f, func(s symbol) {
			n++
			want[symbolKey{string(s.name), s.value, s.size, s.function}]--
		})
		for s, n := range want {
			if n != 0 {
				t.Fatalf("%s: %+v: %d more or less", path, s, n)
			}
		}
		if n == 0 && path != self { // which may be stripped
			t.Errorf("%s: no symbols", path)
		}
	}
}

type symbolKey struct {
	name        string
	value, size uint64
	function    bool
}

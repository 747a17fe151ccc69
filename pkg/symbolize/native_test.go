package symbolize

import (
	"debug/elf"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

func name(f []profile.Frame) string {
	if len(f) == 0 {
		return ""
	}
	if f[0].SystemName != "" {
		return f[0].SystemName
	}
	return f[0].Name
}

// compareSymbols checks addresses all over the text against a brute-force reading of
// the symbol table with debug/elf: an address that sized functions cover has the
// name of one of those that start last, any other has at most that of a symbol
// without a size.
func compareSymbols(t *testing.T, path string, dynamic bool) {
	t.Helper()
	ef, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ef.Close()
	syms, err := ef.Symbols()
	if dynamic {
		syms, err = ef.DynamicSymbols()
	}
	if err != nil {
		t.Fatal(err)
	}
	type sym struct {
		elf.Symbol
		name string
	}
	var sized []sym
	unsized := map[string]bool{}
	for _, s := range syms {
		typ := elf.ST_TYPE(s.Info)
		if s.Section == elf.SHN_UNDEF || s.Section >= elf.SHN_LORESERVE || s.Name == "" {
			continue
		}
		if typ != elf.STT_FUNC && typ != elf.STT_GNU_IFUNC && typ != elf.STT_NOTYPE {
			continue
		}
		n := unversioned(s.Name)
		if s.Size > 0 {
			sized = append(sized, sym{s, n})
		} else {
			unsized[n] = true
		}
	}
	slices.SortStableFunc(sized, func(a, b sym) int { return int(int64(a.Value - b.Value)) })

	o := open(t, path)
	if dynamic {
		o.SetDebug(DebugDirs{Roots: []string{}}, "")
	}
	named, checked := 0, 0
	for _, sec := range ef.Sections {
		if sec.Flags&elf.SHF_EXECINSTR == 0 {
			continue
		}
		var live []sym
		next := 0
		for next < len(sized) && sized[next].Value < sec.Addr {
			next++
		}
		step := max(1, sec.Size/60_000)
		for a := sec.Addr; a < sec.Addr+sec.Size; a += step {
			for next < len(sized) && sized[next].Value <= a {
				live = append(live, sized[next])
				next++
			}
			live = slices.DeleteFunc(live, func(s sym) bool { return s.Value+s.Size <= a })
			got := name(o.Frames(a))
			checked++
			if len(live) == 0 {
				if got != "" && !unsized[got] {
					t.Fatalf("%#x: got %q, no symbol is there", a, got)
				}
				continue
			}
			last := live[len(live)-1].Value
			if !slices.ContainsFunc(live, func(s sym) bool { return s.Value == last && s.name == got }) {
				t.Fatalf("%#x: got %q, want one of %v", a, got, live)
			}
			named++
		}
	}
	t.Logf("%s: %d addresses, %d in sized functions, %d bytes held", filepath.Base(path), checked, named, o.MemoryBytes())
	if named == 0 {
		t.Fatal("nothing was compared")
	}
}

func TestSymbolsAgainstELF(t *testing.T) {
	for _, tt := range []struct {
		source string
		flags  []string
	}{
		{"native.c", []string{"-O1"}},
		{"native.c", []string{"-O2", "-static", "-no-pie"}},
		{"native.cc", []string{"-O1"}},
		{"native.rs", []string{"-O"}},
		{"native.rs", []string{"-O", "-Csymbol-mangling-version=v0"}},
	} {
		t.Run(tt.source+strings.Join(tt.flags, ""), func(t *testing.T) {
			compareSymbols(t, compile(t, tt.source, tt.flags...), false)
		})
	}
}

func TestDynamicSymbols(t *testing.T) {
	libs, _ := filepath.Glob("/lib/*-linux-gnu/libc.so.6")
	if len(libs) == 0 {
		t.Skip("needs glibc in /lib/*-linux-gnu")
	}
	ef, err := elf.Open(libs[0])
	if err != nil {
		t.Fatal(err)
	}
	defer ef.Close()
	if ef.Section(".symtab") != nil {
		t.Skip("this libc.so.6 is not stripped")
	}
	compareSymbols(t, libs[0], true)

	o := open(t, libs[0])
	o.SetDebug(DebugDirs{Roots: []string{}}, "")
	syms, _ := ef.DynamicSymbols()
	for _, s := range syms {
		want, ok := map[string]string{"write": "write", "malloc": "malloc", "__libc_start_main": "__libc_start_main"}[s.Name]
		if ok && s.Section != elf.SHN_UNDEF && elf.ST_TYPE(s.Info) == elf.STT_FUNC {
			if got := name(o.Frames(s.Value)); got != want {
				t.Errorf("%s at %#x: got %q", s.Name, s.Value, got)
			}
		}
	}
}

// TestAgainstNm compares with nm and addr2line, which read the file on their own.
func TestAgainstNm(t *testing.T) {
	for _, source := range []string{"native.c", "native.cc", "native.rs"} {
		t.Run(source, func(t *testing.T) {
			path := compile(t, source)
			run(t, "", nil, "strip", "-g", path) // or addr2line would name inlined calls
			o := open(t, path)
			n := 0
			at := map[uint64][]string{}
			var addrs []string
			for line := range strings.Lines(run(t, "", nil, "nm", "-S", "--defined-only", path)) {
				f := strings.Fields(line)
				if len(f) != 4 || !strings.ContainsAny(f[2], "tTwWuVvi") {
					continue
				}
				addr, _ := strconv.ParseUint(f[0], 16, 64)
				size, _ := strconv.ParseUint(f[1], 16, 64)
				if _, ok := segmentOf(o.Executable(), addr); !ok || size == 0 {
					continue
				}
				at[addr] = append(at[addr], unversioned(f[3]))
				addrs = append(addrs, strconv.FormatUint(addr+size/2, 16))
				n++
			}
			for addr, names := range at {
				if got := name(o.Frames(addr)); !slices.Contains(names, got) {
					t.Errorf("%#x: got %q, nm says %q", addr, got, names)
				}
			}
			out := strings.Split(run(t, "", nil, "addr2line", append([]string{"-f", "-e", path}, addrs[:min(len(addrs), 2000)]...)...), "\n")
			differ := 0
			for i := range min(len(addrs), 2000) {
				a, _ := strconv.ParseUint(addrs[i], 16, 64)
				if got, want := name(o.Frames(a)), unversioned(out[2*i]); got != want && !sameAddress(at, got, want) && want != "inside_sized" {
					differ++
					t.Logf("%#x: got %q, addr2line says %q", a, got, want)
				}
			}
			if n < 5 || differ > 0 {
				t.Errorf("%d symbols, %d differ from addr2line", n, differ)
			}
		})
	}
}

// sameAddress reports whether a and b are names of one address.
func sameAddress(at map[uint64][]string, a, b string) bool {
	for _, names := range at {
		if slices.Contains(names, a) && slices.Contains(names, b) {
			return true
		}
	}
	return false
}

func TestAssemblyAndAliases(t *testing.T) {
	path := compile(t, "native.c", "-O1")
	ef, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ef.Close()
	syms, err := ef.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	addr := map[string]uint64{}
	size := map[string]uint64{}
	for _, s := range syms {
		addr[s.Name], size[s.Name] = s.Value, s.Size
	}
	o := open(t, path)
	for _, tt := range []struct {
		what string
		addr uint64
		want string
	}{
		{"the plain one of three aliases", addr["busy"] + 1, "busy"},
		{"a global without type and size", addr["bare"], "bare"},
		{"the same, second instruction", addr["bare"] + 3, "bare"},
		{"a local label after it, taken for part of it", addr["after_bare"], "bare"},
		{"a label inside a sized function", addr["inside_sized"], "sized"},
		{"behind a sized function", addr["sized"] + size["sized"] + 4, ""},
		{"before the text", 0, ""},
		{"no address", ^uint64(0), ""},
	} {
		if got := name(o.Frames(tt.addr)); got != tt.want {
			t.Errorf("%s (%#x): got %q, want %q", tt.what, tt.addr, got, tt.want)
		}
	}
	m := o.Mapping(addr["busy"], "/bin/prog")
	if m.Start == 0 || m.Limit <= m.Start || m.File != "/bin/prog" || len(m.BuildID) != 40 {
		t.Errorf("mapping: %+v", m)
	}
	if v, ok := o.Address(m.Offset + addr["busy"] - m.Start); !ok || v != addr["busy"] {
		t.Errorf("address: %#x %v, want %#x", v, ok, addr["busy"])
	}
	want := strings.TrimSpace(run(t, "", nil, "sh", "-c", "readelf -n "+path+" | sed -n 's/.*Build ID: //p'"))
	if o.BuildID() != want {
		t.Errorf("build ID %q, readelf says %q", o.BuildID(), want)
	}
	if o.IsGo() {
		t.Error("a C program is taken for Go")
	}
}

func TestRelease(t *testing.T) {
	path := compile(t, "native.c", "-O1")
	o := open(t, path)
	if o.MemoryBytes() != 0 {
		t.Errorf("%d bytes held before the first address", o.MemoryBytes())
	}
	entry := o.Executable()[0].Vaddr
	before := o.Frames(entry)
	if o.MemoryBytes() == 0 {
		t.Error("nothing held after the first address")
	}
	o.Release()
	if o.MemoryBytes() != 0 {
		t.Errorf("%d bytes held after release", o.MemoryBytes())
	}
	if after := o.Frames(entry); !slices.Equal(before, after) {
		t.Errorf("after release: %v, before: %v", after, before)
	}
	// The file changes under us.
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	o.Release()
	if f := o.Frames(entry); f != nil {
		t.Errorf("truncated file: %v", f)
	}
}

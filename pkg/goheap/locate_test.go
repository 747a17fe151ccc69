package goheap

import (
	"bytes"
	"debug/elf"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/ebpfprof/ebpfprof/pkg/symbolize"
)

// TestLocate: code says of every variable what .symtab says, for both machines.
func TestLocate(t *testing.T) {
	for _, version := range versions() {
		for _, arch := range []string{"amd64", "arm64"} {
			for _, b := range []build{{name: "static"}, {name: "pie", args: []string{"-buildmode=pie"}}} {
				b.arch = arch
				t.Run(version+"/"+arch+"/"+b.name, func(t *testing.T) {
					compareWithSymbols(t, compile(t, "target", version, b), true)
					if b.name == "static" { // ticks are not linked
						compareWithSymbols(t, compile(t, "plain", version, b), false)
					}
				})
			}
		}
	}
}

func compareWithSymbols(t *testing.T, path string, all bool) {
	t.Helper()
	l, code := locateTwice(t, path)
	if !l.Symbols || l.GoVersion == "" {
		t.Errorf("layout %+v", l)
	}
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]elf.Symbol{}
	for _, s := range symbols {
		byName[s.Name] = s
	}
	for v := range numVariables {
		s, ok := byName[v.String()]
		if ok && (s.Value != code.addrs[v] || s.Value != l.addrs[v]) {
			t.Errorf("%v: code says %#x, layout %#x, the symbol table %#x", v, code.addrs[v], l.addrs[v], s.Value)
		}
		if ok == (v == stackDepth || v == ticksVal) {
			t.Errorf("%v: symbol present: %v", v, ok)
		}
	}
	// Fields: inside of the variable that has a symbol.
	old := strings.HasPrefix(l.GoVersion, "go1.20") || strings.HasPrefix(l.GoVersion, "go1.21") || strings.HasPrefix(l.GoVersion, "go1.22")
	for v, name := range map[variable]string{stackDepth: "runtime.debug", ticksVal: "runtime.ticks"} {
		s, addr := byName[name], code.addrs[v]
		absent := v == stackDepth && old || v == ticksVal && !all
		if (addr == 0) != absent || addr != 0 && (addr < s.Value || addr+v.size() > s.Value+s.Size) {
			t.Errorf("%v at %#x, %s is at %#x, %d bytes", v, addr, name, s.Value, s.Size)
		}
	}
}

// locateTwice returns the layout, and that by code alone.
func locateTwice(t *testing.T, path string) (layout, code *Layout) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	obj, err := symbolize.NewObject(file, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	if layout, err = Locate(file, obj); err != nil {
		t.Fatal(err)
	}
	f, err := elf.NewFile(file)
	if err != nil {
		t.Fatal(err)
	}
	code = &Layout{}
	code.fromCode(newDecoder(f, obj))
	return layout, code
}

// TestLocateRefuses: other programs, and Go programs of another form, with a reason.
func TestLocateRefuses(t *testing.T) {
	path, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip("sleep is missing")
	}
	refused := func(b []byte) error {
		obj, err := symbolize.NewObject(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		_, err = Locate(bytes.NewReader(b), obj)
		return err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := refused(b); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "not a Go program") {
		t.Errorf("sleep: %v", err)
	}
	b, err = os.ReadFile(compile(t, "target", versions()[0], build{args: []string{"-ldflags=-s -w"}}))
	if err != nil {
		t.Fatal(err)
	}
	// The name is what the function is found by.
	renamed := bytes.Replace(b, []byte("runtime.mProf_FlushLocked\x00"), []byte("runtime.mProf_FlushLockex\x00"), 1)
	if err := refused(renamed); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "runtime.mbuckets") {
		t.Errorf("without a function: %v", err)
	}
}

// TestLocateHostile: files with broken headers, tables and code give a layout in
// bounds, or an error.
func TestLocateHostile(t *testing.T) {
	whole, err := os.ReadFile(compile(t, "plain", versions()[0], build{}))
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.NewFile(bytes.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	// What is broken: the ELF headers, and the beginnings of sections that are read.
	places := []int{0}
	for _, s := range f.Sections {
		if s.Type != elf.SHT_NOBITS && s.Size > 512 {
			places = append(places, int(s.Offset))
		}
	}
	places = append(places, len(whole)-512)
	random := rand.New(rand.NewPCG(1, 2))
	located, refused := 0, 0
	for range 300 {
		b := bytes.Clone(whole)
		at := places[random.IntN(len(places))]
		for range 1 + random.IntN(8) {
			b[at+random.IntN(512)] = byte(random.Uint32())
		}
		if random.IntN(4) == 0 {
			b = b[:random.IntN(len(b))]
		}
		obj, err := symbolize.NewObject(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			continue
		}
		l, err := Locate(bytes.NewReader(b), obj)
		if err == nil {
			located++
			for v := range numVariables {
				if a := l.addrs[v]; a != 0 && (a < l.lo || a >= l.hi) {
					t.Errorf("%v at %#x, outside of %#x to %#x", v, a, l.lo, l.hi)
				}
			}
		} else if refused++; !errors.Is(err, ErrUnsupported) {
			t.Errorf("%v is no ErrUnsupported", err)
		}
	}
	t.Logf("%d located, %d refused", located, refused)
	if located == 0 || refused == 0 {
		t.Error("all alike")
	}
}

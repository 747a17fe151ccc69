package symbolize

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// truth is one line of testdata/goprog: what the runtime says about the
// instruction at a file offset.
type truth struct {
	Offset uint64
	Frames []struct {
		Function, File  string
		Line, StartLine int64
	}
}

func readTruth(t *testing.T, path string) []truth {
	t.Helper()
	var all []truth
	dec := json.NewDecoder(strings.NewReader(run(t, "", nil, path)))
	for dec.More() {
		var tr truth
		if err := dec.Decode(&tr); err != nil {
			t.Fatal(err)
		}
		all = append(all, tr)
	}
	return all
}

// compareGo checks an object against what the program says of itself.
func compareGo(t *testing.T, o *Object, all []truth) {
	t.Helper()
	inlined, bad, padding := 0, 0, 0
	for _, tr := range all {
		v, ok := o.Address(tr.Offset)
		if !ok {
			continue
		}
		got := o.Frames(v)
		// The runtime names the padding behind a function after it, without a line.
		if last := tr.Frames[len(tr.Frames)-1]; last.File == "?" || last.Line == 0 {
			padding++
			continue
		}
		if len(tr.Frames) > 1 {
			inlined++
		}
		// The runtime hides these from stack traces (cmd/internal/objabi GetFuncID,
		// cmd/compile/internal/ssagen); to a profile they are functions as any.
		if n := len(got); n == len(tr.Frames)+1 && slices.Contains([]string{"reflect.callMethod", "reflect.callReflect", "runtime.deferreturn"}, got[n-1].Name) {
			got = got[:n-1]
		}
		same := len(got) == len(tr.Frames)
		for i := 0; same && i < len(got); i++ {
			w := tr.Frames[i]
			// runtime.funcName takes offset 0, the first name of the table, for none.
			same = (got[i].Name == w.Function || w.Function == "") && got[i].File == w.File && got[i].Line == w.Line && got[i].StartLine == w.StartLine
		}
		if !same {
			if bad++; bad < 10 {
				t.Errorf("%#x: got %+v\nthe runtime says %+v", v, got, tr.Frames)
			}
		}
	}
	t.Logf("%d addresses, %d with inlined calls, %d in padding, %d differ, %d bytes held", len(all), inlined, padding, bad, o.MemoryBytes())
	if len(all) < 10_000 || inlined < 1000 || bad > 0 || padding > len(all)/10 {
		t.Error("too few addresses or differences")
	}
}

func TestGoAgainstRuntime(t *testing.T) {
	for _, tt := range []struct {
		name    string
		cgo     bool
		ldflags string
		flags   []string
	}{
		{"plain", false, "", nil},
		{"stripped", false, "-s -w", nil},
		{"pie", false, "-s -w", []string{"-buildmode=pie"}},
		{"cgo", true, "", nil},
		{"cgo pie external", true, "-s -w -linkmode=external", []string{"-buildmode=pie"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := buildGo(t, tt.cgo, tt.ldflags, tt.flags...)
			o := open(t, path)
			if !o.IsGo() || len(o.BuildID()) != 40 {
				t.Errorf("IsGo %v, build ID %q", o.IsGo(), o.BuildID())
			}
			compareGo(t, o, readTruth(t, path))
			if tt.cgo && !strings.Contains(tt.ldflags, "-s") {
				testCgoSymbols(t, path, o)
			}
		})
	}
}

// testCgoSymbols checks that C code in a Go program is named by the symbol table.
func testCgoSymbols(t *testing.T, path string, o *Object) {
	ef, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ef.Close()
	syms, err := ef.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, s := range syms {
		if s.Name == "spin_in_c" || s.Name == "call_spin" {
			found++
			if got := name(o.Frames(s.Value + s.Size/2)); got != s.Name {
				t.Errorf("%s: got %q", s.Name, got)
			}
		}
	}
	if found != 2 {
		t.Errorf("%d of 2 C functions in the symbol table", found)
	}
}

// TestGoHiddenTables takes away, one after another, the easy ways to find Go's tables.
func TestGoHiddenTables(t *testing.T) {
	path := buildGo(t, false, "-s -w", "-buildmode=pie")
	all := readTruth(t, path)
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("no section headers", func(t *testing.T) {
		b := bytes.Clone(image)
		clear(b[40:48]) // e_shoff
		clear(b[60:64]) // e_shnum, e_shstrndx
		o := openBytes(t, b)
		compareGo(t, o, all)
	})
	t.Run("pointers only in relocations", func(t *testing.T) {
		ef, err := elf.NewFile(bytes.NewReader(image))
		if err != nil {
			t.Fatal(err)
		}
		b := bytes.Clone(image)
		module := ef.Section(".go.module")
		if module == nil {
			t.Skip("this Go has no section .go.module (Go 1.26 has)")
		}
		clear(b[module.Offset : module.Offset+module.Size])
		compareGo(t, openBytes(t, b), all)
	})
	t.Run("no way at all", func(t *testing.T) {
		ef, err := elf.NewFile(bytes.NewReader(image))
		if err != nil {
			t.Fatal(err)
		}
		b := bytes.Clone(image)
		for _, n := range []string{".go.module", ".rela"} {
			s := ef.Section(n)
			if s == nil {
				t.Skip("no section " + n)
			}
			clear(b[s.Offset : s.Offset+s.Size])
		}
		o := openBytes(t, b)
		v, _ := o.Address(all[0].Offset)
		if f := o.Frames(v); f != nil {
			t.Errorf("guessed %v", f)
		}
	})
}

// TestGoAgainstNm compares the start of each function with go tool nm.
func TestGoAgainstNm(t *testing.T) {
	path := buildGo(t, false, "")
	o := open(t, path)
	n := 0
	for line := range strings.Lines(run(t, "", nil, "go", "tool", "nm", "-size", path)) {
		f := strings.Fields(line)
		if len(f) < 4 || (f[2] != "T" && f[2] != "t") {
			continue
		}
		addr, err := strconv.ParseUint(f[0], 16, 64)
		if err != nil || f[1] == "0" {
			continue
		}
		want := strings.TrimSpace(line[strings.Index(line, f[3]):])
		got := o.Frames(addr)
		if len(got) == 0 {
			t.Errorf("%#x: no name, nm says %q", addr, want)
			continue
		}
		if outer := strings.ReplaceAll(name(got[len(got)-1:]), "·", "."); outer != want && !strings.HasSuffix(want, ".abi0") && !strings.HasSuffix(want, ".abiinternal") {
			t.Errorf("%#x: got %q, nm says %q", addr, outer, want)
		}
		n++
	}
	if n < 1000 {
		t.Errorf("only %d functions", n)
	}
}

// TestGoCrossArchitecture names arm64 code with the tables of an arm64 program.
func TestGoCrossArchitecture(t *testing.T) {
	out := t.TempDir() + "/prog"
	run(t, testdata(t, "goprog"), []string{"CGO_ENABLED=0", "GOARCH=arm64", "GOFLAGS=-buildvcs=false"}, "go", "build", "-ldflags=-checklinkname=0", "-o", out, ".")
	ef, err := elf.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer ef.Close()
	syms, err := ef.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	o := open(t, out)
	n := 0
	for _, s := range syms {
		if elf.ST_TYPE(s.Info) != elf.STT_FUNC || s.Size == 0 || !strings.HasPrefix(s.Name, "main.") {
			continue
		}
		f := o.Frames(s.Value + s.Size - 4)
		if len(f) == 0 || name(f[len(f)-1:]) != strings.TrimSuffix(s.Name, ".abi0") || f[len(f)-1].File == "" {
			t.Errorf("%s: got %+v", s.Name, f)
		}
		n++
	}
	if n < 5 {
		t.Errorf("only %d functions of main", n)
	}
}

func TestGoBuildIDWithoutGNU(t *testing.T) {
	path := buildGo(t, false, "-B none")
	sum := sha256.Sum256([]byte(strings.TrimSpace(run(t, "", nil, "go", "tool", "buildid", path))))
	if got, want := open(t, path).BuildID(), hex.EncodeToString(sum[:20]); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

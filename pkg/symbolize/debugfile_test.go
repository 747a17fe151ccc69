package symbolize

import (
	"debug/elf"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// splitDebug compiles a program and moves its symbols to a debug file. mix is the
// address of a function that only the debug file knows.
func splitDebug(t *testing.T, flags ...string) (prog, debug string, mix uint64) {
	t.Helper()
	prog = compile(t, "native.c", append([]string{"-O1"}, flags...)...)
	ef, err := elf.Open(prog)
	if err != nil {
		t.Fatal(err)
	}
	defer ef.Close()
	syms, err := ef.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(syms, func(s elf.Symbol) bool { return s.Name == "mix" })
	if i < 0 {
		t.Fatal("no symbol mix")
	}
	debug = filepath.Join(filepath.Dir(prog), "prog.debug")
	run(t, "", nil, "objcopy", "--only-keep-debug", prog, debug)
	run(t, "", nil, "strip", prog)
	run(t, "", nil, "objcopy", "--add-gnu-debuglink="+debug, prog)
	return prog, debug, syms[i].Value
}

// countingDirs is a DebugDirs that counts open files.
func countingDirs(roots []string, opened *[]string, live *int) DebugDirs {
	return DebugDirs{Roots: roots, Open: func(path string) (DebugFile, error) {
		*opened = append(*opened, path)
		f, err := openRegular(path)
		if err != nil {
			return nil, err
		}
		*live++
		return countedFile{f, live}, nil
	}}
}

type countedFile struct {
	DebugFile
	live *int
}

func (f countedFile) Close() error {
	*f.live--
	return f.DebugFile.Close()
}

func TestDebugFileByBuildID(t *testing.T) {
	prog, debug, mix := splitDebug(t)
	o := open(t, prog)
	root := t.TempDir()
	id := o.BuildID()
	byID := filepath.Join(root, ".build-id", id[:2], id[2:]+".debug")
	if err := os.MkdirAll(filepath.Dir(byID), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(debug, byID); err != nil {
		t.Fatal(err)
	}
	var opened []string
	live := 0
	o.SetDebug(countingDirs([]string{root}, &opened, &live), "")
	if got := name(o.Frames(mix)); got != "mix" {
		t.Errorf("got %q, opened %q", got, opened)
	}
	if live != 1 {
		t.Errorf("%d debug files open, want 1", live)
	}
	o.Release()
	if live != 0 {
		t.Errorf("%d debug files open after release", live)
	}
	if got := name(o.Frames(mix)); got != "mix" {
		t.Errorf("after release: got %q", got)
	}
	o.Release()

	// Another program's debug file under this build ID is refused.
	_, other, _ := splitDebug(t, "-DOTHER", "-Wl,--build-id=0x1234567812345678123456781234567812345678")
	if err := os.Rename(other, byID); err != nil {
		t.Fatal(err)
	}
	if got := name(o.Frames(mix)); got != "" {
		t.Errorf("a debug file with another build ID was used: %q", got)
	}
	if o.Release(); live != 0 {
		t.Errorf("%d debug files left open", live)
	}
}

func TestDebugLink(t *testing.T) {
	prog, debug, mix := splitDebug(t, "-Wl,--build-id=none")
	o := open(t, prog)
	if o.BuildID() != "" {
		t.Fatalf("build ID %q", o.BuildID())
	}
	var opened []string
	live := 0
	dirs := countingDirs([]string{}, &opened, &live)
	o.SetDebug(dirs, "")
	if got := name(o.Frames(mix)); got != "" || len(opened) != 0 {
		t.Errorf("without a path: got %q, opened %q", got, opened)
	}
	o.Release()
	o.SetDebug(dirs, prog)
	if got := name(o.Frames(mix)); got != "mix" {
		t.Errorf("got %q, opened %q", got, opened)
	}
	o.Release()

	b, err := os.ReadFile(debug)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] ^= 1
	if err := os.WriteFile(debug, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := name(o.Frames(mix)); got != "" {
		t.Errorf("a debug file with another checksum was used: %q", got)
	}
	if o.Release(); live != 0 {
		t.Errorf("%d debug files left open", live)
	}
}

func TestOpenRegularRefusesOthers(t *testing.T) {
	for _, path := range []string{"/dev/zero", t.TempDir(), "/proc/self/nothing"} {
		if f, err := openRegular(path); err == nil {
			f.Close()
			t.Errorf("%s was opened", path)
		} else if errors.Is(err, os.ErrInvalid) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

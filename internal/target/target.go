// Package target builds and runs the programs that tests profile: small ones, each of
// which uses the CPU in functions with known names, and in known amounts where it matters.
//
// What a program takes as arguments and prints is told at the top of its source in
// testdata. Each one ends by itself after the seconds that it is given, so that none is
// left behind by a test that was killed.
package target

import (
	"embed"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

//go:embed testdata
var sources embed.FS

// C compiles testdata/NAME.c with frame pointers and a symbol table but no DWARF, and
// returns the program's path, in the test's temporary directory. Flags come last and
// win. It skips the test when there is no gcc.
func C(tb testing.TB, name string, flags ...string) string {
	tb.Helper()
	need(tb, "gcc")
	dir := tb.TempDir()
	extract(tb, "spend.h", dir)
	source, out := extract(tb, name+".c", dir), filepath.Join(dir, name)
	args := []string{"-O1", "-fno-omit-frame-pointer", "-pthread", "-o", out, source}
	build(tb, dir, "gcc", append(args, flags...)...)
	return out
}

// Shared compiles testdata/NAME.c as C does, into a shared object.
func Shared(tb testing.TB, name string) string {
	tb.Helper()
	return C(tb, name, "-shared", "-fPIC")
}

// Go builds testdata/NAME/main.go and returns the program's path. It skips the test
// when there is no go command.
func Go(tb testing.TB, name string, flags ...string) string {
	tb.Helper()
	need(tb, "go")
	dir := tb.TempDir()
	source, out := extract(tb, name+"/main.go", dir), filepath.Join(dir, name)
	args := append([]string{"build", "-o", out}, flags...)
	build(tb, dir, "go", append(args, source)...)
	return out
}

func need(tb testing.TB, tool string) {
	tb.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		tb.Skipf("needs %s to build a target program: %v", tool, err)
	}
}

// extract writes an embedded source into dir, without the folders of its name.
func extract(tb testing.TB, name, dir string) string {
	tb.Helper()
	data, err := sources.ReadFile("testdata/" + name)
	if err != nil {
		tb.Fatalf("no such target program: %v", err)
	}
	path := filepath.Join(dir, filepath.Base(name))
	if err := os.WriteFile(path, data, 0o644); err != nil {
		tb.Fatal(err)
	}
	return path
}

func build(tb testing.TB, dir, tool string, args ...string) {
	tb.Helper()
	cmd := exec.Command(tool, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("build target program: %v: %v\n%s", cmd, err, out)
	}
}

// File writes testdata/NAME, a source in another language than C, into the test's temporary directory.
func File(tb testing.TB, name string) string {
	tb.Helper()
	return extract(tb, name, tb.TempDir())
}

// Source writes testdata/NAME.c into the test's temporary directory, for compilers other than gcc.
func Source(tb testing.TB, name string) string {
	tb.Helper()
	return extract(tb, name+".c", tb.TempDir())
}

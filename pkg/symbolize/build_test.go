package symbolize

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// run runs a tool in dir and returns what it prints.
func run(t testing.TB, dir string, env []string, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("needs %s: %v", name, err)
	}
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	return string(out)
}

// testdata returns the absolute path of a file in testdata.
func testdata(t testing.TB, name string) string {
	t.Helper()
	p, err := filepath.Abs(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// compile builds testdata/native.{c,cc,rs} and returns the path of the program.
func compile(t testing.TB, source string, flags ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "prog")
	compiler := map[string]string{".c": "gcc", ".cc": "g++", ".rs": "rustc"}[filepath.Ext(source)]
	run(t, t.TempDir(), nil, compiler, append([]string{"-o", out, testdata(t, source)}, flags...)...)
	return out
}

// buildGo builds testdata/goprog and returns the path of the program.
func buildGo(t testing.TB, cgo bool, ldflags string, flags ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "prog")
	env := []string{"CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOWORK=off"}
	if cgo {
		env[0] = "CGO_ENABLED=1"
	}
	args := append([]string{"build", "-o", out, "-ldflags=-checklinkname=0 " + ldflags}, flags...)
	run(t, testdata(t, "goprog"), env, "go", append(args, ".")...)
	return out
}

func open(t testing.TB, path string) *Object {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	o, err := NewObject(f, info.Size())
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	t.Cleanup(func() {
		o.Release()
		f.Close()
	})
	return o
}

func openBytes(t testing.TB, b []byte) *Object {
	t.Helper()
	o, err := NewObject(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

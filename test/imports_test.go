// Package test holds tests of the repository as a whole.
package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/ebpfprof/ebpfprof/"

// rooms is the table of ARCHITECTURE.md: which rooms of ours a room may import. A room
// is a folder with everything below it. A package in no room fails the test, so a new
// one is entered here with a thought about its place.
func rooms() map[string][]string {
	return map[string][]string{
		// The vocabulary.
		"pkg/profile": nil, "pkg/latency": nil, "pkg/request": nil, "pkg/metrics": nil,
		// The kernel half: parsers that know nothing of each other, and who uses them.
		"pkg/proc": nil, "pkg/unwind": nil, "pkg/python": nil, "pkg/probesite": nil, "pkg/allocator": {"pkg/probesite"}, "pkg/usdt": nil,
		// The library that record --preload gives to programs.
		"pkg/preload": nil,
		// Decisions that need neither half.
		"pkg/config": nil, "pkg/service": nil,
		"pkg/symbolize": {"pkg/profile", "pkg/proc", "pkg/python"},
		"pkg/goheap":    {"pkg/profile", "pkg/proc", "pkg/symbolize"},
		"pkg/jvm":       {"pkg/proc"},
		"pkg/loader":    {"pkg/profile", "pkg/proc", "pkg/unwind"},
		"pkg/doctor":    {"pkg/loader", "pkg/proc"},
		// The profile half.
		"pkg/render": {"pkg/profile", "pkg/latency"},
		"pkg/store":  {"pkg/profile", "pkg/latency"},
		"pkg/export": {"pkg/profile", "pkg/latency"},
		"pkg/server": {"pkg/profile", "pkg/latency", "pkg/request", "pkg/metrics", "pkg/render", "pkg/store",
			"pkg/export", "web"},
		"web": nil,
		// The one room that knows both: the kernel half and the vocabulary.
		"pkg/agent": {"pkg/profile", "pkg/latency", "pkg/request", "pkg/metrics", "pkg/proc", "pkg/unwind",
			"pkg/python", "pkg/symbolize", "pkg/goheap", "pkg/jvm", "pkg/loader", "pkg/service", "pkg/probesite", "pkg/allocator", "pkg/usdt"},
		"cmd": {"pkg", "web"},
		// Tests of the whole, and the programs that tests profile.
		"test":             {"pkg", "internal/target", "internal/fakepmu"},
		"internal/target":  nil,
		"internal/fakepmu": nil,
	}
}

// ebpfRooms may import cilium/ebpf: the loader, and the offline check of its objects.
func ebpfRooms() []string { return []string{"pkg/loader", "test/vm/corecheck"} }

// inputRooms may read flags and the environment.
func inputRooms() []string { return []string{"cmd", "test"} }

// A goPackage is what `go list -json` says of a package of ours. Imports are those of
// its code; TestImports and XTestImports are those of its tests.
type goPackage struct {
	Dir          string
	ImportPath   string
	GoFiles      []string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func (p goPackage) path() string { return strings.TrimPrefix(p.ImportPath, module) }

// within tells whether a path is one of the folders or below one.
func within(path string, folders []string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return path == f || strings.HasPrefix(path, f+"/") })
}

// room returns the room of a package, the most specific one.
func room(path string, rules map[string][]string) (string, bool) {
	best := ""
	for name := range rules {
		if within(path, []string{name}) && len(name) > len(best) {
			best = name
		}
	}
	return best, best != ""
}

// wrongImports returns a line for each import that the rules forbid. Tests may import
// what they like of ours, but not cilium/ebpf.
func wrongImports(packages []goPackage, rules map[string][]string) (wrong []string) {
	for _, p := range packages {
		own, ok := room(p.path(), rules)
		if !ok {
			wrong = append(wrong, fmt.Sprintf("%s is in no room: give it one in test/imports_test.go", p.path()))
			continue
		}
		for _, imported := range p.Imports {
			if path, ours := strings.CutPrefix(imported, module); ours && !within(path, append(rules[own], own)) {
				wrong = append(wrong, fmt.Sprintf("%s imports %s", p.path(), path))
			}
		}
		for _, imported := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if strings.HasPrefix(imported+"/", "github.com/cilium/ebpf/") && !within(p.path(), ebpfRooms()) {
				wrong = append(wrong, fmt.Sprintf("%s imports %s", p.path(), imported))
			}
		}
		for _, imported := range p.Imports {
			isFlags := imported == "flag" || strings.HasPrefix(imported, "github.com/spf13/")
			if isFlags && !within(p.path(), inputRooms()) {
				wrong = append(wrong, fmt.Sprintf("%s imports %s: flags are read in cmd", p.path(), imported))
			}
		}
	}
	return wrong
}

// environmentReads returns the places in a file that read the environment or the
// command line.
func environmentReads(name string, source any) ([]string, error) {
	readers := []string{"os.Getenv", "os.LookupEnv", "os.Environ", "os.ExpandEnv", "os.Args",
		"syscall.Getenv", "syscall.Environ", "unix.Getenv", "unix.Environ"}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var reads []string
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && slices.Contains(readers, x.Name+"."+s.Sel.Name) {
				reads = append(reads, files.Position(s.Pos()).String()+": "+x.Name+"."+s.Sel.Name)
			}
		}
		return true
	})
	return reads, nil
}

// listPackages asks for the packages of this module as they are built for Linux, those
// that do not build included: that is for others to say.
func listPackages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=Dir,ImportPath,GoFiles,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = ".."
	cmd.Env = append(cmd.Environ(), "GOOS=linux", "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		if failed := (*exec.ExitError)(nil); errors.As(err, &failed) {
			t.Fatalf("go list: %v\n%s", err, failed.Stderr)
		}
		t.Fatal(err)
	}
	var packages []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); err == io.EOF {
			return packages
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		packages = append(packages, p)
	}
}

func TestImports(t *testing.T) {
	packages := listPackages(t)
	if len(packages) < 5 {
		t.Fatalf("go list knows %d packages", len(packages))
	}
	for _, line := range wrongImports(packages, rooms()) {
		t.Error(line)
	}
}

func TestEnvironment(t *testing.T) {
	for _, p := range listPackages(t) {
		if within(p.path(), inputRooms()) {
			continue
		}
		for _, name := range p.GoFiles {
			reads, err := environmentReads(filepath.Join(p.Dir, name), nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, read := range reads {
				t.Errorf("%s: the environment and the command line are read in cmd", read)
			}
		}
	}
}

// TestRoomsAreSound: the table names rooms only, allows no way back, and keeps the two
// halves apart.
func TestRoomsAreSound(t *testing.T) {
	rules := rooms()
	var reaches func(from, to string, seen []string) bool
	reaches = func(from, to string, seen []string) bool {
		return slices.ContainsFunc(rules[from], func(next string) bool {
			return next == to || !slices.Contains(seen, next) && reaches(next, to, append(seen, next))
		})
	}
	for name, allowed := range rules {
		for _, other := range allowed {
			if _, ok := rules[other]; !ok && other != "pkg" {
				t.Errorf("%s may import %s, which is no room", name, other)
			}
		}
		if reaches(name, name, nil) {
			t.Errorf("%s may import itself by a detour", name)
		}
	}
	for _, half := range []string{"pkg/server", "pkg/render", "pkg/store", "pkg/export"} {
		if reaches(half, "pkg/loader", nil) {
			t.Errorf("%s reaches the loader", half)
		}
	}
}

// TestViolationsAreFound: the rules can fail.
func TestViolationsAreFound(t *testing.T) {
	for i, c := range []struct {
		p    goPackage
		want int
	}{
		{goPackage{ImportPath: module + "pkg/profile", Imports: []string{"fmt", module + "pkg/proc"}}, 1},
		{goPackage{ImportPath: module + "pkg/profile/deep", Imports: []string{module + "pkg/profile"}}, 0},
		{goPackage{ImportPath: module + "pkg/profiles", Imports: nil}, 1},
		{goPackage{ImportPath: module + "pkg/render", Imports: []string{module + "pkg/profile", module + "pkg/loader"}}, 1},
		{goPackage{ImportPath: module + "pkg/server", Imports: []string{module + "pkg/agent", "flag"}}, 2},
		{goPackage{ImportPath: module + "pkg/render", TestImports: []string{module + "pkg/symbolize"}}, 0},
		{goPackage{ImportPath: module + "pkg/agent", Imports: []string{"github.com/cilium/ebpf/btf"}}, 1},
		{goPackage{ImportPath: module + "pkg/agent", XTestImports: []string{"github.com/cilium/ebpf"}}, 1},
		{goPackage{ImportPath: module + "pkg/agent", Imports: []string{"github.com/cilium/ebpfx"}}, 0},
		{goPackage{ImportPath: module + "pkg/loader/probe", Imports: []string{"github.com/cilium/ebpf"}}, 0},
		{goPackage{ImportPath: module + "pkg/proc", Imports: []string{"github.com/spf13/cobra"}}, 1},
		{goPackage{ImportPath: module + "cmd/ebpfprof", Imports: []string{module + "pkg/agent", "github.com/spf13/cobra"}}, 0},
	} {
		if got := wrongImports([]goPackage{c.p}, rooms()); len(got) != c.want {
			t.Errorf("case %d: %q, want %d", i, got, c.want)
		}
	}
	for source, want := range map[string]int{
		`x := os.Getenv("A")`: 1, `x, _ := os.LookupEnv("A"); y := os.Args`: 2, `x := os.Getpid()`: 0,
	} {
		got, err := environmentReads("x.go", "package x\nfunc f() {"+source+"}")
		if err != nil || len(got) != want {
			t.Errorf("%s: %s, %v; want %d", strconv.Quote(source), got, err, want)
		}
	}
}

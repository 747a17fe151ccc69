package goheap

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/proc"
	"github.com/ebpfprof/ebpfprof/pkg/symbolize"
)

// versions are the versions of Go that targets are built with: the one of this test,
// or what EBPFPROF_GOHEAP_VERSIONS lists (1.21.13,1.26.8), from the module proxy.
func versions() []string {
	if v := os.Getenv("EBPFPROF_GOHEAP_VERSIONS"); v != "" {
		return strings.Split(v, ",")
	}
	return []string{strings.TrimPrefix(runtime.Version(), "go")}
}

// runs is how many processes of each build are compared.
func runs() int {
	if n, err := strconv.Atoi(os.Getenv("EBPFPROF_GOHEAP_RUNS")); err == nil {
		return n
	}
	return 4 // one with each way of collecting garbage
}

// A build is a way to link a Go program.
type build struct {
	name string
	args []string
	cgo  bool
	arch string
}

// file names a build of testdata/source.
func (b build) file(source string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '=' {
			return '_'
		}
		return r
	}, source+strings.Join(b.args, ""))
}

func builds() []build {
	all := []build{
		{name: "static"},
		{name: "pie", args: []string{"-buildmode=pie"}},
		{name: "stripped", args: []string{"-ldflags=-s -w"}},
		{name: "stripped-pie", args: []string{"-buildmode=pie", "-ldflags=-s -w"}},
	}
	if _, err := exec.LookPath("gcc"); err == nil {
		all = append(all, build{name: "cgo", args: []string{"-tags=foreign"}, cgo: true},
			build{name: "cgo-stripped", args: []string{"-tags=foreign", "-ldflags=-s -w"}, cgo: true})
	}
	return all
}

// compile builds testdata/source with a version of Go.
func compile(t *testing.T, source, version string, b build) string {
	t.Helper()
	if dir := os.Getenv("EBPFPROF_GOHEAP_BUILT"); dir != "" {
		return filepath.Join(dir, b.file(source)) // in a guest, where nothing can be built
	}
	out := filepath.Join(t.TempDir(), source)
	cmd := exec.Command("go", append(append([]string{"build", "-o", out}, b.args...), ".")...)
	cmd.Dir = filepath.Join("testdata", source)
	cgo := "CGO_ENABLED=0"
	if b.cgo {
		cgo = "CGO_ENABLED=1"
	}
	arch := b.arch
	if arch == "" {
		arch = runtime.GOARCH
	}
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN=go"+version, "GOFLAGS=", "GOARCH="+arch, cgo)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s with Go %s: %v\n%s", source, version, err, text)
	}
	return out
}

// A target is a running testdata/target.
type target struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.Writer
	out *bufio.Reader
}

func start(t *testing.T, path string, args ...string) *target {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	x := &target{t, cmd, in, bufio.NewReaderSize(out, 1<<20)}
	t.Cleanup(x.stop)
	if line := x.line(); line != "ready" {
		t.Fatalf("target says %q", line)
	}
	return x
}

func (x *target) stop() {
	_ = x.cmd.Process.Kill()
	_ = x.cmd.Wait()
}

func (x *target) line() string {
	x.t.Helper()
	line, err := x.out.ReadString('\n')
	if err != nil {
		x.t.Fatalf("target: %v", err)
	}
	return strings.TrimSuffix(line, "\n")
}

// profile asks the target for one of its profiles, in text (1) or as pprof (0).
func (x *target) profile(name string, debug int) []byte {
	x.t.Helper()
	fmt.Fprintf(x.in, "profile %s %d\n", name, debug)
	b, err := base64.StdEncoding.DecodeString(x.line())
	if err != nil {
		x.t.Fatal(err)
	}
	return b
}

// sums are those of one of its pprof files.
func (x *target) sums(name string) map[string][]int64 {
	x.t.Helper()
	p, err := pprof.ParseData(x.profile(name, 0))
	if err != nil {
		x.t.Fatal(err)
	}
	return sums(p)
}

// open opens the target for reading.
func (x *target) open(cache *Cache) *Process {
	x.t.Helper()
	p, err := Open(Options{PID: x.cmd.Process.Pid, Cache: cache})
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { p.Close() })
	return p
}

// program opens the file of a process for naming.
func program(t *testing.T, p *Process) Program {
	t.Helper()
	file, name, _, err := proc.FS{}.OpenProgram(p.pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	o, err := symbolize.NewObject(file, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return Program{o, name}
}

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	pprof "github.com/google/pprof/profile"
)

// buildGoHeap builds testdata/goheap, which keeps memory and has Go's own endpoint.
func buildGoHeap(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "goheap")
	cmd := exec.Command("go", "build", "-o", path, "main.go")
	cmd.Dir = "testdata/goheap"
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	return path
}

// startGoHeap starts it and returns its process and the line that it prints when everything is allocated.
func startGoHeap(t *testing.T, path string, args ...string) (pid int, line string) {
	t.Helper()
	cmd := exec.Command(path, args...)
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid, strings.TrimSpace(line)
}

// ownHeap asks a program for its own profile.
func ownHeap(t *testing.T, url string) *pprof.Profile {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v %s", url, r.Status, err, b)
	}
	p, err := pprof.ParseData(b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// heapOf sums the four values of the samples in whose stack a function is.
func heapOf(p *pprof.Profile, function string) (sum [4]int64) {
	for _, s := range p.Sample {
		has := slices.ContainsFunc(s.Location, func(l *pprof.Location) bool {
			return slices.ContainsFunc(l.Line, func(line pprof.Line) bool { return line.Function.Name == function })
		})
		for i := 0; has && i < 4; i++ {
			sum[i] += s.Value[i]
		}
	}
	return sum
}

func readHeap(t *testing.T, path string) *pprof.Profile {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := pprof.ParseData(b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The heap of a process is what it says itself, and `go tool pprof` reads it.
func TestRecordHeap(t *testing.T) {
	needRoot(t)
	pid, address := startGoHeap(t, buildGoHeap(t))
	dir := t.TempDir()
	out, summary := filepath.Join(dir, "heap.pb.gz"), filepath.Join(dir, "summary.json")
	r := run(t, "record", "-e", "heap", "-p", strconv.Itoa(pid), "-d", "300ms", "-o", out, "--summary", summary)
	if r.exit != 0 || !strings.Contains(r.stderr, "heap: 1 Go processes") {
		t.Fatalf("exit %d: %s", r.exit, r.stderr)
	}
	ours, own := readHeap(t, out), ownHeap(t, "http://"+address+"/debug/pprof/heap")
	var types []string
	for _, s := range ours.SampleType {
		types = append(types, s.Type+"/"+s.Unit)
	}
	if got := strings.Join(types, " "); got != "alloc_objects/count alloc_space/bytes inuse_objects/count inuse_space/bytes" {
		t.Error(got)
	}
	for _, function := range []string{"main.keep", "main.lose"} {
		if a, b := heapOf(ours, function), heapOf(own, function); a != b || a[1] == 0 {
			t.Errorf("%s: read from outside %v, by the program itself %v", function, a, b)
		}
	}
	for _, s := range ours.Sample {
		if s.NumLabel["pid"][0] != int64(pid) || s.Label["comm"][0] != "goheap" || s.Label["service"][0] == "" {
			t.Fatalf("labels %v %v", s.Label, s.NumLabel)
		}
	}
	b, err := os.ReadFile(summary)
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		Heap struct {
			Processes  int   `json:"processes"`
			InuseBytes int64 `json:"inuse_bytes"`
		} `json:"heap"`
	}
	if err := json.Unmarshal(b, &s); err != nil || s.Heap.Processes != 1 || s.Heap.InuseBytes < 64<<20 {
		t.Errorf("summary %s: %v", b, err)
	}
	top, err := exec.Command("go", "tool", "pprof", "-top", "-sample_index=inuse_space", out).CombinedOutput()
	if err != nil || !strings.Contains(string(top), "main.keep") {
		t.Errorf("go tool pprof: %v\n%s", err, top)
	}
}

// Children are targets, also of a command; what allocates nothing is exit 5.
func TestRecordHeapTargets(t *testing.T) {
	needRoot(t)
	path := buildGoHeap(t)
	pid, child := startGoHeap(t, path, "child")
	out := filepath.Join(t.TempDir(), "%e.pb.gz")
	heap := strings.Replace(out, "%e", "heap", 1)
	wait := func() { // until the child has allocated, which is quiet
		for range 100 {
			b, _ := os.ReadFile("/proc/" + child + "/smaps_rollup")
			var kib int
			for line := range strings.Lines(string(b)) {
				fmt.Sscanf(line, "Rss: %d", &kib)
			}
			if kib > 80<<10 {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	wait()
	r := run(t, "record", "-e", "cpu", "-e", "heap", "-p", strconv.Itoa(pid), "-d", "300ms", "-o", out)
	if r.exit != 0 || !strings.Contains(r.stderr, "heap: 2 Go processes") {
		t.Errorf("exit %d: %s", r.exit, r.stderr)
	}
	pids := map[int64]bool{}
	for _, s := range readHeap(t, heap).Sample {
		pids[s.NumLabel["pid"][0]] = true
	}
	if len(pids) != 2 || fmt.Sprint(pids[int64(pid)]) != "true" {
		t.Errorf("processes %v, want %d and %s", pids, pid, child)
	}

	r = run(t, "record", "-e", "heap", "-o", heap, "--", "sh", "-c", "sleep 1 | "+path+"; exit 7")
	if r.exit != 7 || !strings.Contains(r.stderr, "heap: 1 Go processes") {
		t.Errorf("exit %d: %s", r.exit, r.stderr)
	}
	if p := readHeap(t, heap); !strings.Contains(strings.Join(p.Comments, "\n"), "it has ended, this is of") || heapOf(p, "main.keep")[3] == 0 {
		t.Errorf("comments %v", p.Comments)
	}

	sleep := exec.Command("sleep", "60")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	defer sleep.Process.Kill()
	r = run(t, "record", "-e", "heap", "-p", strconv.Itoa(sleep.Process.Pid), "-d", "100ms", "-o", heap)
	if r.exit != 5 || !strings.Contains(r.stderr, "calls of allocators, of too few bytes") {
		t.Errorf("exit %d: %s", r.exit, r.stderr)
	}
}

package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

var update = flag.Bool("update", false, "write testdata/golden anew")

// hostile is what a process may call a function: markup, terminal escapes, line
// breaks, separators, text that runs backwards, bytes that are not UTF-8.
const hostile = "]]></script><script>alert(1)</script>&lt;\x1b[31m;\x00\n\u202e\"'\xff\ufffe λ"

// sample returns a small profile with every kind of frame.
func sample() *profile.Profile {
	b := prof.NewBuilder(prof.BuilderOptions{
		SampleTypes: []prof.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
		PeriodType:  prof.ValueType{Type: "cpu", Unit: "nanoseconds"},
		Period:      10_000_000,
		Start:       time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Duration:    10 * time.Second,
		Comments:    []string{prof.LostComment(3), "host: example"},
	})
	server := prof.Mapping{Start: 0x400000, Limit: 0x800000, File: "/usr/bin/server", BuildID: "00112233445566778899aabbccddeeff00112233"}
	libc := prof.Mapping{Start: 0x1000, Limit: 0x100000, Offset: 0x1000, File: "/usr/lib/libc.so.6", BuildID: "aabb"}
	kernel := prof.Mapping{File: prof.KernelMapping}
	main := b.Location(server, 0x401000, []prof.Frame{{Name: "main.main", File: "/src/main.go", Line: 10, StartLine: 5}})
	inlined := b.Location(server, 0x402000, []prof.Frame{
		{Name: "strings.Index", File: "/go/strings.go", Line: 100, StartLine: 90},
		{Name: "main.(*Server).serve", File: "/src/main.go", Line: 20, StartLine: 15},
	})
	read := b.Location(libc, 0x20f0, []prof.Frame{{Name: "read", File: "read.c", Line: 26}})
	unknown := b.Location(libc, 0x3abc, nil)
	vfs := b.Location(kernel, 0xffffffff81234567, []prof.Frame{{Name: "vfs_read"}})
	vdso := b.Location(prof.Mapping{File: prof.VDSOMapping}, 0xc30, []prof.Frame{{Name: "clock_gettime"}})
	jit := b.Location(prof.Mapping{File: prof.JITMapping}, 0x7f0000001000, []prof.Frame{{Name: "Ljava/lang/String;::indexOf"}})
	python := b.Location(prof.Mapping{}, 0, []prof.Frame{{Name: "handle", File: "app.py", Line: 7}})
	bad := b.Location(server, 0x403000, []prof.Frame{{Name: hostile, File: hostile}})
	add := func(l prof.Labels, n int64, stack ...*profile.Location) { b.Sample(stack, l, n, n*10_000_000) }
	one := prof.Labels{Comm: "server", PID: 100, TID: 100, Service: "server"}
	two := prof.Labels{Comm: "worker;1", PID: 100, TID: 101, Service: "server"}
	add(one, 40, inlined, main)
	add(one, 2, main)
	add(one, 20, vfs, read, main)
	add(two, 10, unknown, inlined)
	add(two, 5, vdso)
	add(two, 12, jit)
	add(two, 6, python)
	add(prof.Labels{Comm: "worker;1", PID: 100, TID: 101, Service: "server", Stack: "truncated"}, 4, bad, b.Marker("[truncated]"))
	add(prof.Labels{Comm: hostile}, 1, read)
	return b.Profile()
}

// bare is a page with nothing but the documents.
func bare(w io.Writer, _ string, documents func(io.Writer) error) error { return documents(w) }

func render(t testing.TB, name string, p *profile.Profile, o Options) []byte {
	t.Helper()
	f, err := Format(name)
	if err != nil {
		t.Fatal(err)
	}
	if o.Page == nil {
		o.Page = bare
	}
	var b bytes.Buffer
	if err := Write(&b, f, p, o); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestGolden keeps every format's output as it is: go test ./pkg/render -update.
func TestGolden(t *testing.T) {
	for _, f := range Formats() {
		name := "sample" + f.Extensions[0]
		if f.Binary || f.Name == "html" {
			continue // the bytes of compressed data are the compressor's business, the page is not of this package
		}
		t.Run(f.Name, func(t *testing.T) {
			got := render(t, name, sample(), Options{})
			path := filepath.Join("testdata", "golden", name)
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s differs; got:\n%s", path, cut(string(got), 4000))
			}
		})
	}
}

func TestWriteIsDeterministic(t *testing.T) {
	for _, f := range Formats() {
		first := render(t, f.Extensions[0], sample(), Options{})
		for range 5 {
			if !bytes.Equal(first, render(t, f.Extensions[0], sample(), Options{})) {
				t.Errorf("%s differs between runs", f.Name)
				break
			}
		}
	}
}

func TestFormat(t *testing.T) {
	for path, want := range map[string]string{
		"a.pb.gz": "pprof", "a.pprof": "pprof", "dir.svg/a.folded": "folded", "a.SVG": "svg",
		"a.speedscope.json": "speedscope", "a.firefox.json": "firefox", "a.firefox.json.gz": "firefox-gz", "a.txt": "txt",
	} {
		f, err := Format(path)
		if err != nil || f.Name != want {
			t.Errorf("Format(%q) = %q, %v; want %q", path, f.Name, err, want)
		}
	}
	for _, path := range []string{"", "a", "a.json", "a.gz", "a.pb.gz.bak", "svg"} {
		if _, err := Format(path); err == nil || !strings.Contains(err.Error(), ".speedscope.json") {
			t.Errorf("Format(%q): error %v does not list the known extensions", path, err)
		}
	}
	if f, err := FormatByName("svg"); err != nil || f.Name != "svg" {
		t.Errorf("FormatByName(svg) = %q, %v", f.Name, err)
	}
	if _, err := FormatByName("nope"); err == nil {
		t.Error("FormatByName(nope) succeeds")
	}
}

type failingWriter struct{ left int }

var errFull = errors.New("disk full")

func (w *failingWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestWriteReportsErrors(t *testing.T) {
	for _, f := range Formats() {
		size := len(render(t, f.Extensions[0], sample(), Options{}))
		for _, left := range []int{0, size / 2, size - 1} {
			if err := Write(&failingWriter{left}, f, sample(), Options{Page: bare}); !errors.Is(err, errFull) {
				t.Errorf("%s to a disk with %d of %d bytes: error %v", f.Name, left, size, err)
			}
		}
		if err := Write(&bytes.Buffer{}, f, sample(), Options{Value: "nope", Page: bare}); err == nil {
			t.Errorf("%s of a value that is not there: no error", f.Name)
		}
	}
}

// TestEmpty writes profiles without samples, or with samples of nothing.
func TestEmpty(t *testing.T) {
	empty := &profile.Profile{SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}}}
	zero := empty.Copy()
	zero.Sample = []*profile.Sample{{Value: []int64{0}}, {Value: []int64{5}}, {Value: []int64{-3}}}
	for _, p := range []*profile.Profile{empty, zero} {
		for _, f := range Formats() {
			if err := Write(&bytes.Buffer{}, f, p, Options{Page: bare}); err != nil {
				t.Errorf("%s: %v", f.Name, err)
			}
		}
	}
}

// TestPprofIsReadByGoTool has the real reader agree with what was put in.
func TestPprofIsReadByGoTool(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.pb.gz")
	if err := os.WriteFile(path, render(t, path, sample(), Options{}), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "tool", "pprof", "-top", "-nodecount=5", "-symbolize=none", path)
	cmd.Env = append(os.Environ(), "PPROF_TMPDIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"Type: cpu", "Duration: 10s, Total samples = 1000ms", "400ms 40.00% 40.00%      500ms 50.00%  strings.Index", "vfs_read"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
}

func TestTopRows(t *testing.T) {
	out := string(render(t, "a.txt", sample(), Options{Rows: 2}))
	if !strings.Contains(out, "and 9 more functions, together self 400 ms (40.0% of 1.00 s)") {
		t.Errorf("cut table does not say what is missing:\n%s", out)
	}
	if strings.ContainsAny(out, "\x1b\x00") {
		t.Errorf("control characters in:\n%q", out)
	}
}

// TestFirefoxTables checks what the profiler relies on: columns of equal length,
// indexes inside their tables, callers before callees.
func TestFirefoxTables(t *testing.T) {
	var f struct {
		Meta struct {
			Version    int `json:"preprocessedProfileVersion"`
			Categories []any
		}
		Libs    []any
		Shared  map[string]json.RawMessage
		Threads []struct {
			Name, PID string
			TID       int
			Samples   struct {
				Stack        []*int
				Time, Weight []float64
				WeightType   string
				Length       int
			}
		}
	}
	if err := json.Unmarshal(render(t, "a.firefox.json", sample(), Options{}), &f); err != nil {
		t.Fatal(err)
	}
	tables := make(map[string]map[string][]any)
	size := make(map[string]int)
	for name, raw := range f.Shared {
		if name == "stringArray" {
			var s []string
			if err := json.Unmarshal(raw, &s); err != nil {
				t.Fatal(err)
			}
			size[name] = len(s)
			continue
		}
		var columns map[string]any
		if err := json.Unmarshal(raw, &columns); err != nil {
			t.Fatal(err)
		}
		tables[name] = make(map[string][]any)
		size[name] = int(columns["length"].(float64))
		for c, v := range columns {
			if v, ok := v.([]any); ok {
				if tables[name][c] = v; len(v) != size[name] {
					t.Errorf("%s.%s has %d rows, length is %d", name, c, len(v), size[name])
				}
			}
		}
	}
	size["libs"], size["categories"] = len(f.Libs), len(f.Meta.Categories)
	for _, ref := range [][3]string{
		{"stackTable", "frame", "frameTable"}, {"stackTable", "prefix", "stackTable"}, {"frameTable", "func", "funcTable"},
		{"frameTable", "category", "categories"}, {"funcTable", "name", "stringArray"}, {"funcTable", "resource", "resourceTable"},
		{"funcTable", "source", "sources"}, {"resourceTable", "lib", "libs"}, {"resourceTable", "name", "stringArray"}, {"sources", "filename", "stringArray"},
	} {
		for i, v := range tables[ref[0]][ref[1]] {
			if n, ok := v.(float64); ok && (int(n) >= size[ref[2]] || n < -1) || ok && ref[1] == "prefix" && int(n) >= i {
				t.Errorf("%s.%s[%d] = %v is not in %s of %d rows", ref[0], ref[1], i, v, ref[2], size[ref[2]])
			}
		}
	}
	if len(f.Threads) != 3 || f.Threads[1].Name != "server" || f.Threads[1].PID != "100" || f.Threads[2].TID != 101 {
		t.Errorf("threads = %+v", f.Threads)
	}
	var sum float64
	for _, th := range f.Threads {
		for i, w := range th.Samples.Weight {
			sum += w
			if s := th.Samples.Stack[i]; s == nil || *s >= size["stackTable"] {
				t.Errorf("%s: sample %d has no stack", th.Name, i)
			}
		}
	}
	if sum != 1000 {
		t.Errorf("weights sum up to %g ms; want 1000", sum)
	}
}

package render

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/pprof/profile"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

func TestReadFolded(t *testing.T) {
	for in, want := range map[string]string{
		"main;foo;bar 12\n":                   "main;foo;bar 12\n",
		"main;foo;bar":                        "main;foo;bar 1\n",
		"b 1\na 2\nb 3":                       "a 2\nb 4\n",
		"operator new(unsigned long);x y z":   "operator new(unsigned long);x y z 1\n",
		"operator new(unsigned long);x y z 7": "operator new(unsigned long);x y z 7\n",
		"\n a;;b; 3 \r\n\n;;\n":               "a;b 3\n",
		"swapper;do_idle_[k];x_[j];y_[i] 5":   "swapper;do_idle_[k];x_[j];y 5\n",
		"[truncated];a 1":                     "[truncated];a 1\n",
		"a 1.6":                               "a 2\n",
		"a;f -4":                              "a;f -4\n",
		"a NaN\nb;c":                          "a NaN 1\nb;c 1\n",
		"12\na 1":                             "12 1\na 1\n",
	} {
		p, err := Read(strings.NewReader(in), "x.folded")
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if err := p.CheckValid(); err != nil {
			t.Errorf("%q: %v", in, err)
		}
		if got := string(render(t, "a.folded", p, Options{})); got != want {
			t.Errorf("%q became %q; want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"":                                "empty file",
		"\n\n":                            "no stack in any line",
		"root:x:0:0:/root:/bin/sh\na NaN": "no folded stacks",
		"a 1\nb 99999999999999999999999":  "line 2: count",
		strings.Repeat("a;", maxStack+1):  "frames",
		"\x1f\x8b\x08 not really gzipped": "decompress",
	} {
		if _, err := Read(strings.NewReader(in), "x"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: error %v; want %q", in, err, want)
		}
	}
}

// TestRoundTrips reads back what each readable format wrote.
func TestRoundTrips(t *testing.T) {
	folded := render(t, "a.folded", sample(), Options{})
	for _, name := range []string{"a.pb.gz", "a.folded"} {
		p, err := Read(bytes.NewReader(render(t, name, sample(), Options{})), name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := render(t, "b.folded", p, Options{}); !bytes.Equal(got, folded) {
			t.Errorf("through %s:\n%s\nwant\n%s", name, got, folded)
		}
	}
	p, err := Read(bytes.NewReader(render(t, "a.speedscope.json", sample(), Options{})), "a.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(p.SampleType) != 2 || p.SampleType[1].Type != "cpu" || p.SampleType[1].Unit != "nanoseconds" {
		t.Errorf("sample types = %v", p.SampleType)
	}
	if sum := prof.Summarize(p, 1); sum.Total != 1_000_000_000 || sum.Samples != 100 {
		t.Errorf("total %d in %d samples", sum.Total, sum.Samples)
	}
}

func TestReadSniffs(t *testing.T) {
	var raw, packed bytes.Buffer
	if err := sample().WriteUncompressed(&raw); err != nil {
		t.Fatal(err)
	}
	zw := gzip.NewWriter(&packed)
	io.WriteString(zw, "a;b 1\n")
	zw.Close()
	for name, in := range map[string][]byte{"raw pprof": raw.Bytes(), "gzipped folded": packed.Bytes(), "JSON frame": []byte("{;}a 1\n")} {
		if _, err := Read(bytes.NewReader(in), "noextension"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

const threads = `{"$schema":"https://www.speedscope.app/file-format-schema.json","exporter":"other","shared":{"frames":[{"name":"a"},{"name":"b","file":"b.rb","line":3}]},
"profiles":[{"type":"evented","name":"t1","unit":"milliseconds","startValue":0,"endValue":10,"events":[
{"type":"O","frame":0,"at":0},{"type":"O","frame":1,"at":2},{"type":"C","frame":1,"at":5},{"type":"C","frame":0,"at":10}]},
{"type":"sampled","name":"t2","unit":"seconds","startValue":0,"endValue":1,"samples":[[0,1]],"weights":[0.5]}]}`

func TestReadSpeedscopeThreads(t *testing.T) {
	p, err := Read(strings.NewReader(threads), "x.json")
	if err != nil {
		t.Fatal(err)
	}
	want := "t1;a 7000000\nt1;a;b 3000000\nt2;a;b 500000000\n"
	if got := string(render(t, "a.folded", p, Options{})); got != want {
		t.Errorf("got %q; want %q", got, want)
	}
	for _, bad := range []string{
		`{"a":1}`, `{"a"`, `{"profiles":[{"type":"sampled","samples":[[5]],"weights":[1]}],"shared":{"frames":[{"name":"a"}]}}`,
		`{"profiles":[{"type":"sampled","samples":[[0]],"weights":[]}],"shared":{"frames":[{"name":"a"}]}}`,
		`{"profiles":[{"type":"x"}],"shared":{"frames":[{"name":"a"}]}}`,
		`{"profiles":[{"type":"sampled","samples":[[0]],"weights":[1e300]}],"shared":{"frames":[{"name":"a"}]}}`,
	} {
		if _, err := Read(strings.NewReader(bad), "x.speedscope.json"); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}

func FuzzFolded(f *testing.F) {
	for _, s := range []string{"a;b 1\n", "a", "x_[k];y_[j] 3", ";; 1", "a;b 99999999999999999999", "[truncated];\xff\x00 -1e9\n\n\t", "a 0x10", "a -"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := readFolded(data)
		if err != nil {
			return
		}
		if err := p.CheckValid(); err != nil {
			t.Fatal(err)
		}
		once := render(t, "a.folded", p, Options{})
		if len(once) == 0 { // all counts were 0
			return
		}
		again, err := readFolded(once)
		if err != nil {
			t.Fatalf("cannot read back %q: %v", once, err)
		}
		if twice := render(t, "a.folded", again, Options{}); !bytes.Equal(once, twice) {
			t.Fatalf("%q became %q", once, twice)
		}
	})
}

// FuzzRead renders in every format whatever can be read.
func FuzzRead(f *testing.F) {
	for _, format := range Formats() {
		f.Add(render(f, format.Extensions[0], sample(), Options{}))
	}
	var raw bytes.Buffer
	sample().WriteUncompressed(&raw)
	f.Add(raw.Bytes())
	f.Add([]byte(threads))
	f.Add([]byte(hostile + ";" + hostile + " 3"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Read(bytes.NewReader(data), "fuzz")
		if err != nil {
			return
		}
		for _, format := range Formats() {
			if err := Write(io.Discard, format, p, Options{Page: bare}); err != nil {
				t.Fatalf("%s: %v", format.Name, err)
			}
		}
	})
}

// wide returns a profile whose call tree has more than n nodes, of all widths.
func wide(n int) *profile.Profile {
	b := prof.NewBuilder(prof.BuilderOptions{SampleTypes: []prof.ValueType{{Type: "cpu", Unit: "nanoseconds"}}})
	m := prof.Mapping{Start: 0x1000, Limit: 0x10000000, File: "/usr/bin/wide"}
	r := rand.New(rand.NewPCG(1, 2))
	stack := make([]*profile.Location, 30)
	for range n / 15 {
		path := 0
		for d := range stack {
			path = (path*3 + int(r.ExpFloat64())) % 5000
			addr := uint64(0x1000 + path)
			name := fmt.Sprintf("github.com/acme/wide/internal/store.(*Engine).function%d", path)
			stack[len(stack)-1-d] = b.Location(m, addr, []prof.Frame{{Name: name, File: "a.go"}})
		}
		b.Sample(stack, prof.Labels{Comm: "wide"}, int64(1000+r.IntN(1000)))
	}
	return b.Profile()
}

func TestLargeSVG(t *testing.T) {
	p := wide(100_000)
	nodes := len(prof.NewTree(p, prof.TreeOptions{}).Nodes)
	if nodes < 100_000 {
		t.Fatalf("the tree has %d nodes; want 100,000", nodes)
	}
	if size := len(render(t, "a.svg", p, Options{})); size > 3<<20 {
		t.Errorf("%d nodes take %d bytes; want at most 3 MiB", nodes, size)
	}
}

func BenchmarkWrite(b *testing.B) {
	p := wide(100_000)
	b.Logf("%d nodes", len(prof.NewTree(p, prof.TreeOptions{}).Nodes))
	for _, f := range Formats() {
		b.Run(f.Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := Write(io.Discard, f, p, Options{Page: bare}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestReadErrorNamesFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "broken.pb.gz")
	os.WriteFile(path, []byte("\x0a\x00\x01\x00"), 0o644)
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if _, err := Read(in, path); err == nil || !strings.Contains(err.Error(), "broken.pb.gz as pprof") {
		t.Errorf("error %v does not name the file and format", err)
	}
}

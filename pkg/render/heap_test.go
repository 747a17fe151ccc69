package render

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

func heapHistory(name string) *prof.HeapHistory {
	h := &prof.HeapHistory{
		Start: time.Date(2026, 11, 25, 4, 0, 0, 0, time.UTC), Duration: 4 * time.Second, Period: 16384, Step: time.Second,
		Moments: []prof.HeapMoment{{Most: 100, Last: 100}, {Most: 900 << 10, Last: 800 << 10}, {Most: 800 << 10, Last: 700 << 10}, {Most: 700 << 10, Last: 600 << 10}},
		Peak:    prof.HeapPeak{At: 1500 * time.Millisecond, Bytes: 900 << 10, Known: 900 << 10},
		Sites: []prof.HeapSite{
			{Stack: []string{name, "main"}, Process: name, PID: 4711, Samples: 50, Steps: []int64{0, 500 << 10, 400 << 10, 300 << 10},
				PeakBytes: 600 << 10, PeakObjects: 6, InuseBytes: 300 << 10, AllocBytes: 2 << 20, AllocObjects: 20},
			{Stack: []string{"a", "b", "c", "d", "e"}, Process: "p", Samples: 20, Steps: []int64{100, 300 << 10, 300 << 10, 300 << 10}, PeakBytes: 300 << 10, AllocBytes: 300 << 10},
			{Process: "p", AllocBytes: 1},
		},
		Notes: []string{"note of " + name},
	}
	h.Leaks = []prof.HeapLeak{{Site: 1, Bytes: 300 << 10, Deviation: 10 << 10, Samples: 19, Age: time.Second, Oldest: 4 * time.Second, Share: 1, Seconds: 4}}
	return h
}

func TestHeapAnalysis(t *testing.T) {
	var b bytes.Buffer
	if err := WriteHeapAnalysis(&b, heapHistory("read_table")); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{
		"Heap: peak 900 KiB at 1.5s, 300 KiB in use at the end, 2.29 MiB allocated in 20 calls",
		"1. 600 KiB (66.7%), 6 objects, in read_table (4711)\n       read_table\n       main\n",
		"1. 300 KiB +- 10.0 KiB, 75.0 KiB a second, 100.00 % of what it allocates, in p (0)\n     19 samples live that are older than 1s, the oldest 4s; none was freed\n       a\n",
		"a < b < c < d < ...",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Index(text, "read_table (4711)") > strings.Index(text, "300 KiB (33.3%)") {
		t.Errorf("the largest site is not the first:\n%s", text)
	}
}

// Names are a process's own: nothing in them acts on a terminal or in a document. Empty histories are drawn, too.
func TestHeapDocumentsAreSafe(t *testing.T) {
	for _, h := range []*prof.HeapHistory{heapHistory("<script>\x1b]0;x\x07&\"'\n\u202eevil" + strings.Repeat("long", 4000)), {}} {
		var svg, text bytes.Buffer
		if err := errors.Join(WriteHeapTimeline(&svg, h), WriteHeapAnalysis(&text, h)); err != nil {
			t.Fatal(err)
		}
		paths := 0
		for d := xml.NewDecoder(bytes.NewReader(svg.Bytes())); ; {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%v in %s", err, svg.String())
			}
			if e, ok := token.(xml.StartElement); ok && e.Name.Local == "script" {
				t.Error("a name has become a script")
			} else if ok && e.Name.Local == "path" {
				paths++
			}
		}
		if want := len(h.Moments); want > 0 && paths != 4 { // two sites, others, the total
			t.Errorf("%d areas", paths)
		}
		if strings.ContainsAny(text.String(), "\x1b\x07\u202e") || strings.ContainsAny(svg.String(), "\x1b\x07\u202e") {
			t.Errorf("control characters in %q", text.String())
		}
	}
}

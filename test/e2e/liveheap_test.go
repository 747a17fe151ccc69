package e2e

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/internal/target"
)

const heapMean = 16384

// recordHeap records a program's heap and returns the profile, and what it printed.
func recordHeap(t *testing.T, cmd *exec.Cmd, flags ...string) (*pprof.Profile, outcome) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "h.pb.gz")
	args := append([]string{"record", "-e", "heap", "--as-root", "-o", file}, flags...)
	record := exec.Command(program(), append(append(args, "--", cmd.Path), cmd.Args[1:]...)...)
	record.Env = cmd.Env
	out := finish(t, record)
	if out.exit != 0 {
		t.Fatalf("exit %d: %s", out.exit, out.stderr)
	}
	return readHeap(t, file), out
}

// bySite sums the values of each function site_NAME.
func bySite(p *pprof.Profile) map[string][4]float64 {
	sums := map[string][4]float64{}
	for _, s := range p.Sample {
		for _, l := range s.Location {
			for _, line := range l.Line {
				if name := line.Function.Name; strings.HasPrefix(name, "site_") {
					sum := sums[name]
					for i := range sum {
						sum[i] += float64(s.Value[i])
					}
					sums[name] = sum
				}
			}
		}
	}
	return sums
}

// What is in use at the end is what the program itself has counted, site by site, with every allocator: bytes within four
// standard deviations of what sampling by bytes has, which is exceeded once in 15,000 comparisons.
func TestLiveHeap(t *testing.T) {
	needRoot(t)
	for name, command := range allocatorsOf(t, "heaps") {
		t.Run(name, func(t *testing.T) {
			cmd := command(t)
			cmd.Args = append(cmd.Args, "30000", "2")
			p, out := recordHeap(t, cmd)
			var types []string
			for _, s := range p.SampleType {
				types = append(types, s.Type+"/"+s.Unit)
			}
			if got := strings.Join(types, " "); got != "alloc_objects/count alloc_space/bytes inuse_objects/count inuse_space/bytes" || p.Period != heapMean {
				t.Fatalf("%s, period %d", got, p.Period)
			}
			sums := bySite(p)
			var allocated float64
			for _, site := range []string{"kept", "freed", "queue", "big", "calloc", "realloc", "aligned", "shrunk"} {
				site = "site_" + site
				n, bytes := allocTruth(t, out.stdout, site)
				allocated += sums[site][1]
				// Each object of S bytes adds S*S*(1-p)/p to the variance, p = 1-exp(-S/mean), which is less than S*mean.
				deviation := math.Sqrt(bytes * heapMean)
				z := (sums[site][3] - bytes) / max(deviation, 1)
				t.Logf("%s: %.0f of %.0f objects, %.0f of %.0f bytes (%.1f deviations)", site, sums[site][2], n, sums[site][3], bytes, z)
				if math.Abs(z) > 4 {
					t.Errorf("%s: %.0f bytes in use, want %.0f", site, sums[site][3], bytes)
				}
			}
			all := target.Number(t, out.stdout, "allocated")
			if z := (allocated - all) / math.Sqrt(all*heapMean); math.Abs(z) > 4 {
				t.Errorf("%.0f bytes allocated, want %.0f (%.1f deviations)", allocated, all, z)
			}
		})
	}
}

// Of what a command leaves, its files tell; samples, stacks and losses add up.
func TestLiveHeapFiles(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	timeline, analysis, summary := filepath.Join(dir, "t.svg"), filepath.Join(dir, "a.txt"), filepath.Join(dir, "s.json")
	cmd := exec.Command(target.C(t, "heaps"), "20000")
	_, out := recordHeap(t, cmd, "--timeline", timeline, "--analysis", analysis, "--summary", summary)
	_, kept := allocTruth(t, out.stdout, "site_kept")
	var s struct {
		Events map[string]struct {
			Fired, Samples uint64
			Lost, Stacks   map[string]uint64
			LiveHeap       struct {
				InuseBytes float64 `json:"inuse_bytes"`
				PeakBytes  float64 `json:"peak_bytes"`
			} `json:"live_heap"`
		}
	}
	raw, err := os.ReadFile(summary)
	if err != nil || json.Unmarshal(raw, &s) != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	e := s.Events["heap"]
	lost, stacks := uint64(0), uint64(0)
	for _, n := range e.Lost {
		lost += n
	}
	for _, n := range e.Stacks {
		stacks += n
	}
	if e.Samples == 0 || e.Fired != e.Samples+lost || e.Samples != stacks {
		t.Errorf("fired %d, samples %d, lost %d, stacks %d", e.Fired, e.Samples, lost, stacks)
	}
	if e.LiveHeap.InuseBytes < kept || e.LiveHeap.PeakBytes < e.LiveHeap.InuseBytes {
		t.Errorf("%.0f bytes in use of at least %.0f, peak %.0f", e.LiveHeap.InuseBytes, kept, e.LiveHeap.PeakBytes)
	}
	text, err := os.ReadFile(analysis)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"WHAT MADE THE PEAK", "site_kept", "LEAKS", "WHO ALLOCATES"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	svg, err := os.ReadFile(timeline)
	if err != nil || !strings.Contains(string(svg), "site_kept") {
		t.Fatalf("%v: %s", err, svg)
	}
	for d := xml.NewDecoder(strings.NewReader(string(svg))); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// A program that loses one of 100 allocations at one of 200 sites: that site is the only one that is called a leak, and for as
// much as it has lost. EBPFPROF_LONG=1 runs it for a minute, with the bar of 10 %.
func TestLeaks(t *testing.T) {
	needRoot(t)
	seconds, rate := "8", "30000"
	if os.Getenv("EBPFPROF_LONG") != "" {
		seconds, rate = "60", "20000"
	}
	file := filepath.Join(t.TempDir(), "a.txt")
	p, out := recordHeap(t, exec.Command(target.C(t, "leaks"), seconds, rate), "--analysis", file)
	var lost float64
	for line := range strings.Lines(out.stdout) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "leaked" {
			lost = target.Number(t, "bytes "+f[2]+"\n", "bytes")
		}
	}
	var leaks []string
	for _, c := range p.Comments {
		if strings.HasPrefix(c, "leak: ") {
			leaks = append(leaks, c)
		}
	}
	t.Logf("lost %.0f bytes; %s", lost, strings.Join(leaks, "\n"))
	if len(leaks) != 1 || !strings.Contains(leaks[0], "at site_137 < allocate < main") {
		text, _ := os.ReadFile(file)
		t.Fatalf("%d leaks: %s\n%s", len(leaks), leaks, text)
	}
	var kib, deviation float64
	if _, err := fmt.Sscanf(leaks[0], "leak: about %f KiB (+- %f)", &kib, &deviation); err != nil {
		t.Fatalf("%s: %v", leaks[0], err)
	}
	if z := (kib*1024 - lost) / (deviation * 1024); math.Abs(z) > 4 || deviation > kib/5 {
		t.Errorf("%.1f KiB +- %.1f leaked, the program lost %.1f", kib, deviation, lost/1024)
	}
	if off := kib*1024/lost - 1; os.Getenv("EBPFPROF_LONG") != "" && math.Abs(off) > 0.1 {
		t.Errorf("%.1f KiB leaked, %.1f %% off", kib, 100*off)
	}
}

// What a child frees of its copy is not the parent's, what it allocates is its own; what a program had before exec is gone.
func TestLiveHeapOfChildren(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	begin, file, summary := filepath.Join(dir, "begin"), filepath.Join(dir, "h.pb.gz"), filepath.Join(dir, "s.json")
	go func() { // by then the child was found
		time.Sleep(2500 * time.Millisecond)
		_ = os.WriteFile(begin, nil, 0o600)
	}()
	out := run(t, "record", "-e", "heap", "--as-root", "-o", file, "--summary", summary, "--", target.C(t, "heapfork"), begin)
	if out.exit != 0 {
		t.Fatalf("exit %d: %s", out.exit, out.stderr)
	}
	sums := bySite(readHeap(t, file))
	for _, c := range []struct {
		site  string
		inuse float64 // of the bytes that the program names
		alloc float64
	}{
		{"before", 0, target.Number(t, out.stdout, "before") / 3 * 4},
		{"child", target.Number(t, out.stdout, "child"), target.Number(t, out.stdout, "child")},
		{"after", target.Number(t, out.stdout, "after"), target.Number(t, out.stdout, "after")},
	} {
		got := sums["site_"+c.site]
		for i, want := range map[int]float64{1: c.alloc, 3: c.inuse} {
			if z := (got[i] - want) / math.Sqrt(max(want, heapMean)*heapMean); math.Abs(z) > 4 {
				t.Errorf("site_%s: %.0f bytes (value %d), want %.0f: %.1f deviations", c.site, got[i], i, want, z)
			}
		}
	}
	raw, err := os.ReadFile(summary)
	var s struct {
		Events map[string]struct {
			LiveHeap struct {
				GoneByExec  int     `json:"gone_by_exec"`
				FreedUnseen int     `json:"freed_unseen"`
				PeakBytes   float64 `json:"peak_bytes"`
			} `json:"live_heap"`
		}
	}
	if err != nil || json.Unmarshal(raw, &s) != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	// Of 1,500 objects of 5,000 bytes, a quarter is sampled.
	if n := s.Events["heap"].LiveHeap.GoneByExec; n < 250 || n > 550 {
		t.Errorf("%d samples gone by exec", n)
	}
	if n := s.Events["heap"].LiveHeap.FreedUnseen; n > 0 {
		t.Errorf("%d samples freed unseen", n)
	}
}

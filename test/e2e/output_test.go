package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/ebpfprof/ebpfprof/internal/target"
)

// TestEveryFormat: one recording writes them all, and each one's reader takes it.
func TestEveryFormat(t *testing.T) {
	needRoot(t)
	t.Parallel()
	f, out := newFiles(t), t.TempDir()
	args := f.args("-F", "999")
	for _, name := range []string{"a.pprof", "a.folded", "a.svg", "a.speedscope.json", "a.firefox.json", "a.firefox.json.gz", "a.txt"} {
		args = append(args, "-o", filepath.Join(out, name))
	}
	o := run(t, append(args, "--metrics", filepath.Join(out, "a.prom"), "--", target.C(t, "split"), "1")...)
	if o.exit != 0 {
		t.Fatalf("exit %d\n%s", o.exit, o.stderr)
	}
	if want := "ready\nshare heavy "; !strings.HasPrefix(o.stdout, want) || strings.Count(o.stdout, "\n") != 5 {
		t.Errorf("standard output is not the command's alone: %q", o.stdout)
	}
	r := f.read(t, o)
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	if n := countIn(parseProfile(t, bytes.NewReader(read("a.pprof"))), every); n != r.event.Samples {
		t.Errorf(".pprof has %d samples, want %d", n, r.event.Samples)
	}
	checkFolded(t, string(read("a.folded")), r.event.Samples)
	checkSVG(t, read("a.svg"))
	checkSpeedscope(t, read("a.speedscope.json"), r)
	checkFirefox(t, read("a.firefox.json"), r)
	zipped, err := gzip.NewReader(bytes.NewReader(read("a.firefox.json.gz")))
	if err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(zipped); err != nil || !bytes.Equal(data, read("a.firefox.json")) {
		t.Errorf(".firefox.json.gz is not .firefox.json, zipped: %v", err)
	}
	if text := string(read("a.txt")); !strings.Contains(text, "heavy") || strings.Index(text, "heavy") > strings.Index(text, "light") {
		t.Errorf(".txt has no heavy before light:\n%s", text)
	}
	checkMetrics(t, read("a.prom"), r)
	if top := pprofTop(t, f.profile); !strings.Contains(top, " heavy") {
		t.Errorf("go tool pprof -top has no heavy:\n%.2000s", top)
	}
}

func checkFolded(t *testing.T, text string, samples int64) {
	t.Helper()
	var total int64
	named := false
	for line := range strings.Lines(text) {
		stack, count, ok := cutLast(strings.TrimSuffix(line, "\n"), " ")
		n, err := strconv.ParseInt(count, 10, 64)
		if !ok || err != nil || n <= 0 || stack == "" {
			t.Fatalf("folded line %q", line)
		}
		total += n
		named = named || slices.ContainsFunc(strings.Split(stack, ";"), func(f string) bool {
			return slices.Contains(splitFunctions(), f)
		})
	}
	if total != samples || !named {
		t.Errorf("folded: %d samples, want %d; functions of split are there: %t", total, samples, named)
	}
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func checkSVG(t *testing.T, data []byte) {
	t.Helper()
	elements := 0
	for d := xml.NewDecoder(bytes.NewReader(data)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("svg: %v", err)
		}
		if start, ok := token.(xml.StartElement); ok {
			if elements++; elements == 1 && start.Name.Local != "svg" {
				t.Errorf("svg: the root is %s", start.Name.Local)
			}
		}
	}
	if !bytes.Contains(data, []byte("heavy")) {
		t.Error("svg: no heavy")
	}
}

// checkSpeedscope checks what speedscope's file-format-spec asks for.
func checkSpeedscope(t *testing.T, data []byte, r *recording) {
	t.Helper()
	var file struct {
		Schema string `json:"$schema"`
		Shared struct {
			Frames []struct{ Name string }
		}
		Profiles []struct {
			Type     string
			EndValue float64
			Samples  [][]int
			Weights  []float64
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatalf("speedscope: %v", err)
	}
	if file.Schema != "https://www.speedscope.app/file-format-schema.json" || len(file.Profiles) == 0 {
		t.Fatalf("speedscope: schema %q, %d profiles", file.Schema, len(file.Profiles))
	}
	total := 0.0
	for _, p := range file.Profiles {
		if p.Type != "sampled" || len(p.Samples) != len(p.Weights) {
			t.Errorf("speedscope: profile of type %s with %d samples, %d weights", p.Type, len(p.Samples), len(p.Weights))
		}
		sum := 0.0
		for i, stack := range p.Samples {
			sum += p.Weights[i]
			if len(stack) > 0 && (slices.Min(stack) < 0 || slices.Max(stack) >= len(file.Shared.Frames)) {
				t.Fatalf("speedscope: stack %v of %d frames", stack, len(file.Shared.Frames))
			}
		}
		total += sum
	}
	if want := r.cpuSeconds(every) * 1e9; total < want*0.999 || total > want*1.001 {
		t.Errorf("speedscope: weights add up to %.0f, want %.0f ns", total, want)
	}
}

// checkFirefox checks that the tables of a processed profile refer to each other.
func checkFirefox(t *testing.T, data []byte, r *recording) {
	t.Helper()
	var file struct {
		Meta struct {
			Version, PreprocessedProfileVersion int
			Interval                            float64
		}
		Threads []struct {
			Name    string
			Samples struct {
				Length int
				Stack  []*int
				Weight []float64
			}
			StackTable struct {
				Length int
				Frame  []int
				Prefix []*int
			}
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatalf("firefox: %v", err)
	}
	if file.Meta.PreprocessedProfileVersion == 0 || len(file.Threads) == 0 {
		t.Fatalf("firefox: %+v with %d threads", file.Meta, len(file.Threads))
	}
	var samples int
	for _, thread := range file.Threads {
		s := thread.Samples
		if s.Length != len(s.Stack) {
			t.Errorf("firefox: thread %s has %d samples, %d stacks", thread.Name, s.Length, len(s.Stack))
		}
		samples += s.Length
		for _, stack := range s.Stack {
			if stack != nil && (*stack < 0 || *stack >= len(thread.StackTable.Frame)) {
				// Newer versions have the tables outside of the threads.
				if len(thread.StackTable.Frame) > 0 {
					t.Fatalf("firefox: stack %d of %d", *stack, len(thread.StackTable.Frame))
				}
			}
		}
	}
	if samples == 0 || !bytes.Contains(data, []byte(`"heavy"`)) {
		t.Errorf("firefox: %d samples of %d; heavy is there: %t", samples, r.event.Samples, bytes.Contains(data, []byte(`"heavy"`)))
	}
}

// checkMetrics checks the text format, Prometheus' rules for names, and the figures.
func checkMetrics(t *testing.T, data []byte, r *recording) {
	t.Helper()
	problems, err := promlint.New(bytes.NewReader(data)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v %v\n%s", problems, err, data)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("metrics: %v\n%s", err, data)
	}
	var delivered, stacks float64
	for _, m := range families["ebpfprof_samples_total"].GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == "result" && l.GetValue() == "delivered" {
				delivered += m.GetCounter().GetValue()
			}
		}
	}
	for _, m := range families["ebpfprof_stacks_total"].GetMetric() {
		stacks += m.GetCounter().GetValue()
	}
	if want := float64(r.event.Samples); delivered != want || stacks != want {
		t.Errorf("metrics: %v samples, %v stacks, want %v\n%s", delivered, stacks, want, data)
	}
}

// TestPipe: the standard output is an output, and nothing else is in it.
func TestPipe(t *testing.T) {
	needRoot(t)
	t.Parallel()
	p := target.Start(t, target.C(t, "split"), "60")
	for _, format := range []string{"", "folded"} {
		f := newFiles(t)
		args := []string{"record", "-F", "999", "-d", "1s", "-p", strconv.Itoa(p.PID), "-o", "-", "--summary", f.summary}
		if format != "" {
			args = append(args, "--format", format)
		}
		o := run(t, args...)
		if o.exit != 0 {
			t.Fatalf("exit %d\n%s", o.exit, o.stderr)
		}
		var s summary
		data, err := os.ReadFile(f.summary)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &s); err != nil {
			t.Fatal(err)
		}
		samples := s.Events["cpu"].Samples
		if format == "folded" {
			checkFolded(t, o.stdout, samples)
		} else if n := countIn(parseProfile(t, strings.NewReader(o.stdout)), every); n != samples {
			t.Errorf("pprof in a pipe: %d samples, want %d", n, samples)
		}
		if strings.ContainsAny(o.stderr, "\r\x1b") {
			t.Errorf("standard error is no terminal, but gets control characters: %q", o.stderr)
		}
	}
}

// TestSummaryShape: the summary has exactly the promised keys, and possibly more.
func TestSummaryShape(t *testing.T) {
	needRoot(t)
	t.Parallel()
	f := newFiles(t)
	o := run(t, f.args("-F", "999", "--", target.C(t, "split"), "0.5")...)
	r := f.read(t, o)
	data, err := os.ReadFile(f.summary)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"duration_seconds", "cpus", "events.cpu.fired", "events.cpu.samples", "events.cpu.lost.ring_full",
		"events.cpu.stacks.complete", "events.cpu.stacks.truncated", "events.cpu.stacks.no_unwind_info",
		"events.cpu.frames.total", "events.cpu.frames.symbolized",
		"overhead.kernel_seconds", "overhead.user_seconds", "overhead.rss_bytes", "overhead.kernel_bytes",
	} {
		var at any = got
		for key := range strings.SplitSeq(path, ".") {
			m, _ := at.(map[string]any)
			at = m[key]
		}
		if _, ok := at.(float64); !ok {
			t.Errorf("no number %s in the summary:\n%s", path, data)
		}
	}
	if s := r.summary; s.DurationSeconds < 0.5 || s.CPUs < 1 || s.Overhead.KernelSeconds <= 0 || s.Overhead.UserSeconds <= 0 ||
		s.Overhead.RSSBytes < 1<<20 || s.Overhead.KernelBytes < 1<<16 {
		t.Errorf("implausible figures:\n%s", data)
	}
	for _, word := range []string{strconv.FormatInt(r.event.Samples, 10) + " samples", "lost", "complete", "symbolized", "overhead"} {
		if !strings.Contains(lastLine(o.stderr), word) {
			t.Errorf("the last line does not tell %q: %s", word, o.stderr)
		}
	}
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// TestQuiet: nothing is said where nothing is asked for.
func TestQuiet(t *testing.T) {
	needRoot(t)
	t.Parallel()
	o := run(t, newFiles(t).args("-q", "-F", "999", "--", target.C(t, "split"), "0.3")...)
	if o.exit != 0 || o.stderr != "" {
		t.Errorf("exit %d, said %q", o.exit, o.stderr)
	}
}

// TestConvert: a recording becomes every other format without root, and the total stays.
func TestConvert(t *testing.T) {
	needRoot(t)
	t.Parallel()
	f := newFiles(t)
	r := f.read(t, run(t, f.args("-F", "999", "--", target.C(t, "split"), "0.5")...))
	out := t.TempDir()
	for _, name := range []string{"b.folded", "b.svg", "b.speedscope.json", "b.firefox.json.gz", "b.txt", "b.pb.gz"} {
		if o := run(t, "convert", f.profile, filepath.Join(out, name)); o.exit != 0 || o.stdout != "" {
			t.Errorf("convert to %s: exit %d, %q\n%s", name, o.exit, o.stdout, o.stderr)
		}
	}
	folded, err := os.ReadFile(filepath.Join(out, "b.folded"))
	if err != nil {
		t.Fatal(err)
	}
	checkFolded(t, string(folded), r.event.Samples)
	if n := countIn(readProfile(t, filepath.Join(out, "b.pb.gz")), every); n != r.event.Samples {
		t.Errorf("converted pprof has %d samples, want %d", n, r.event.Samples)
	}
	cmd := exec.Command(program(), "convert", "-", "-", "--format", "folded")
	cmd.Stdin = bytes.NewReader(folded)
	o := finish(t, cmd)
	checkFolded(t, o.stdout, r.event.Samples)
}

package metrics

import (
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

func TestTableIsComplete(t *testing.T) {
	// Names that applications' exporters have too.
	shared := []string{
		"http_requests_total", "http_request_duration_seconds", "request_processing_time_seconds", "memory_usage_bytes",
		"heap_size_bytes", "cpu_usage_percent", "active_connections", "concurrent_requests",
	}
	seen := map[string]bool{}
	for id, m := range Table() {
		if m.Name == "" || m.Help == "" || m.Type == 0 {
			t.Errorf("row %d is not filled: %+v", id, m)
		}
		if !strings.HasPrefix(m.Name, "ebpfprof_") && !slices.Contains(shared, m.Name) {
			t.Errorf("%s: want the prefix ebpfprof_", m.Name)
		}
		if seen[m.Name] {
			t.Errorf("%s: twice in the table", m.Name)
		}
		seen[m.Name] = true
		for _, l := range m.Labels {
			if l == "pid" || l == "tid" || l == "function" {
				t.Errorf("%s: label %s is not bounded", m.Name, l)
			}
		}
	}
}

// TestLint enters a value in every row: names, helps and types are as Prometheus wants them.
func TestLint(t *testing.T) {
	s := Snapshot{Version: "v1"}
	for id, m := range Table() {
		switch {
		case m.Type == histogram:
			s.AddHistogram(ID(id), Histogram{Bounds: []float64{1}, Counts: []uint64{1, 2}, Sum: 5}, m.Labels...)
		case ID(id) != BuildInfo: // the collector's own
			s.Add(ID(id), 1, m.Labels...)
		}
	}
	var b strings.Builder
	if err := WriteText(&b, s); err != nil {
		t.Fatal(err)
	}
	for _, m := range Table() {
		if !strings.Contains(b.String(), "\n"+m.Name) {
			t.Errorf("%s is not in the text", m.Name)
		}
	}
	problems, err := promlint.New(strings.NewReader(b.String())).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("promlint: %s: %s", p.Metric, p.Text)
	}
}

func TestWriteText(t *testing.T) {
	s := Snapshot{Version: "v1"}
	s.Add(SamplesTotal, 41, "cpu", "delivered")
	s.Add(SamplesTotal, 1, "cpu", "lost")
	s.Add(MemoryBytes, 4096, "resident")
	var b strings.Builder
	if err := WriteText(&b, s); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`ebpfprof_build_info{version="v1"} 1`,
		`ebpfprof_samples_total{kind="cpu",result="delivered"} 41`,
		`ebpfprof_samples_total{kind="cpu",result="lost"} 1`,
		"# TYPE ebpfprof_samples_total counter",
		"# TYPE ebpfprof_memory_bytes gauge",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("text lacks %q:\n%s", want, b.String())
		}
	}
	problems, err := promlint.New(strings.NewReader(b.String())).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("promlint: %s: %s", p.Metric, p.Text)
	}
}

func TestWriteTextRefusesWrongLabels(t *testing.T) {
	var s Snapshot
	s.Add(SamplesTotal, 1, "cpu")
	if err := WriteText(&strings.Builder{}, s); err == nil {
		t.Error("a value with a label too few was written")
	}
}

func TestWriteTextRefusesWrongType(t *testing.T) {
	var s Snapshot
	s.Add(RunqueueLatencySeconds, 1, "web")
	if err := WriteText(&strings.Builder{}, s); err == nil {
		t.Error("a number was written as a histogram")
	}
}

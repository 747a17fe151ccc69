package e2e

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

func (d *daemon) metrics() string {
	d.t.Helper()
	r, err := http.Get(d.url + "/metrics")
	if err != nil {
		d.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return string(b)
}

// value is that of one series, -1 if it is absent.
func value(t *testing.T, text, series string) float64 {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(text)
	if m == nil {
		return -1
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestDaemonCountsByService: what a process counts is its service's, totals only grow, and what the machine cannot
// count is absent, with a 0 that says so.
func TestDaemonCountsByService(t *testing.T) {
	d := startDaemon(t, "--counter-events", "minor-faults,context-switches,cycles")
	need(t, "perl")
	// 64 MiB in one string, and it stays to be asked who it is.
	cmd := exec.Command("perl", "-e", `sleep 1; $x = "x" x 67108864; sleep 20`)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	const faults = `ebpfprof_page_faults_total{kind="minor",service="perl"}`
	var text string
	d.wait("counted", 10*time.Second, func() bool {
		text = d.metrics()
		return value(t, text, faults) >= 16384
	})
	if v := value(t, text, faults); v > 40000 {
		t.Errorf("%v page faults for 16,384 pages", v)
	}
	if v := value(t, text, `ebpfprof_context_switches_total{service="perl"}`); v < 1 || v > 1000 {
		t.Errorf("%v context switches", v)
	}
	if v := value(t, text, `ebpfprof_perf_event_supported{event="minor-faults"}`); v != 1 {
		t.Errorf("minor-faults supported: %v", v)
	}
	if v := value(t, text, `ebpfprof_perf_event_running_ratio{event="minor-faults"}`); v != 1 {
		t.Errorf("minor-faults on the PMU: %v", v)
	}
	if _, err := os.Stat("/sys/bus/event_source/devices/cpu"); err != nil {
		if v := value(t, text, `ebpfprof_perf_event_supported{event="cycles"}`); v != 0 {
			t.Errorf("cycles supported: %v", v)
		}
		if strings.Contains(text, "ebpfprof_cpu_cycles_total") || strings.Contains(text, "ebpfprof_instructions_per_cycle") {
			t.Errorf("a count without a counter:\n%s", text)
		}
		if !strings.Contains(d.log.String(), "no hardware PMU") {
			t.Errorf("the log does not say why:\n%s", d.log.String())
		}
	}
	before := value(t, text, faults)
	time.Sleep(1500 * time.Millisecond)
	if after := value(t, d.metrics(), faults); after < before {
		t.Errorf("a total fell from %v to %v", before, after)
	}
}

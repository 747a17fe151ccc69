package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/internal/target"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// metric returns a value of /metrics; ok is false if it is absent.
func (d *daemon) metric(name string) (v float64, ok bool) {
	d.t.Helper()
	_, body := d.get("/metrics")
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindSubmatch(body)
	if m == nil {
		return 0, false
	}
	v, err := strconv.ParseFloat(string(m[1]), 64)
	return v, err == nil
}

// Without a limit, the daemon's profiles of a service are what the program has counted; metrics are the sums of profiles;
// services that were not chosen are absent.
func TestDaemonAllocations(t *testing.T) {
	d := startDaemon(t, "--events", "cpu,alloc", "--alloc-period", strconv.Itoa(allocMean), "--alloc-budget", "0", "--alloc-services", "^allocs$", "--counters=false")
	begin := filepath.Join(t.TempDir(), "begin")
	p := target.Start(t, target.C(t, "allocs"), "40000", begin)
	probed := `ebpfprof_alloc_probed_seconds_total{service="allocs"}`
	d.wait("probing", 20*time.Second, func() bool { v, _ := d.metric(probed); return v > 0 })
	if err := os.WriteFile(begin, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	truth := p.Wait(t)
	end := time.Now()
	d.wait("storing", 20*time.Second, func() bool {
		_, body := d.get("/api/v1/services")
		return strings.Contains(string(body), `"allocs"`) && time.Since(end) > 3*time.Second
	})
	code, body := d.get("/api/v1/profile?kind=alloc&service=allocs&from=now-10m&to=now&format=pprof")
	if code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	prof, err := pprof.ParseData(body)
	if err != nil {
		t.Fatal(err)
	}
	checkAllocations(t, prof, truth)
	checkCoverage(t, prof)
	var objects, bytes int64
	for _, s := range prof.Sample {
		objects += s.Value[1]
		bytes += s.Value[2]
	}
	for name, want := range map[string]int64{"bytes": bytes, "objects": objects} {
		if v, ok := d.metric(fmt.Sprintf(`ebpfprof_alloc_%s_total{service="allocs"}`, name)); !ok || v != float64(want) {
			t.Errorf("%s: /metrics has %.0f (%t), the profile %d", name, v, ok, want)
		}
	}
	if _, metrics := d.get("/metrics"); regexp.MustCompile(`ebpfprof_alloc_\w+\{service="(?:[^a]|a[^l])`).Match(metrics) {
		t.Errorf("a service that was not chosen has metrics")
	}
	d.stop()
}

// The profile says of which part of the time it is, and how its values were made.
func checkCoverage(t *testing.T, p *pprof.Profile) {
	t.Helper()
	said := false
	for _, comment := range p.Comments {
		said = said || strings.Contains(comment, "1-exp(-size/65536)")
		c, ok := profile.ParseCoverage(comment)
		if ok && c.Probed > 0 && c.Probed <= c.Of && c.Hits > 100_000 && c.Cost > 0 && c.Windows > 0 {
			return
		}
	}
	t.Errorf("comments say nothing good of the coverage (of the weights: %t): %q", said, p.Comments)
}

// A program that allocates all the time is kept within the budget, and what was seen of it is said.
func TestDaemonAllocationsBudget(t *testing.T) {
	d := startDaemon(t, "--events", "alloc", "--alloc-services", "^allocs$", "--counters=false")
	target.Start(t, target.C(t, "allocs"), "2000000000")
	d.wait("taking the probes away", 60*time.Second, func() bool {
		v, ok := d.metric(`ebpfprof_alloc_duty_ratio{service="allocs"}`)
		return ok && v == 0
	})
	cost, _ := d.metric(`ebpfprof_alloc_cost_seconds_total{service="allocs"}`)
	hits, _ := d.metric(`ebpfprof_alloc_hits_total{service="allocs"}`)
	each, _ := d.metric(`ebpfprof_alloc_hit_seconds{class="emulated"}`)
	t.Logf("%.0f hits cost %.3f s, %.2g s each", hits, cost, each)
	if hits == 0 || each == 0 || cost < 0.9*hits*each {
		t.Errorf("%.0f hits cost %.3f s, %.2g s each", hits, cost, each)
	}
	d.stop()
}

package server

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/ebpfprof/ebpfprof/pkg/metrics"
)

func TestReady(t *testing.T) {
	status := testStatus()
	f := newFixture(t, func(o *Options) { o.Status = func() Status { return status } })
	if w := f.request("GET", "/ready"); w.Code != 200 {
		t.Errorf("ready: %d %s", w.Code, w.Body)
	}
	status.Ready, status.Waiting = false, "programs are being verified"
	w := f.request("GET", "/ready")
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "being verified") {
		t.Errorf("not ready: %d %s", w.Code, w.Body)
	}
	if w := f.request("GET", "/healthz"); w.Code != 200 {
		t.Errorf("healthz while not ready: %d", w.Code)
	}
	if w := f.request("GET", "/api/v1/live"); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("live while not ready: %d %s", w.Code, w.Body)
	}
}

func TestReload(t *testing.T) {
	var failure error
	calls := 0
	f := newFixture(t, func(o *Options) { o.Reload = func(context.Context) error { calls++; return failure } })
	if w := f.request("POST", "/-/reload"); w.Code != 200 || calls != 1 {
		t.Errorf("reload: %d, %d calls", w.Code, calls)
	}
	failure = errors.New("line 3: unknown key")
	if w := f.request("POST", "/-/reload"); w.Code != 500 || !strings.Contains(w.Body.String(), "line 3: unknown key") {
		t.Errorf("failed reload: %d %s", w.Code, w.Body)
	}
	f = newFixture(t, func(o *Options) { o.Reload = nil })
	if w := f.request("POST", "/-/reload"); w.Code != http.StatusNotImplemented {
		t.Errorf("no reload: %d", w.Code)
	}
}

func TestLists(t *testing.T) {
	f := newFixture(t)
	kinds := decode[struct{ Kinds []KindStatus }](t, f.get(t, "/api/v1/kinds"))
	if len(kinds.Kinds) != 2 || kinds.Kinds[0].Name != "cpu" || !kinds.Kinds[0].Active || kinds.Kinds[1].Active ||
		kinds.Kinds[0].Problem != "" || kinds.Kinds[1].Problem != "no such tracepoint" {
		t.Errorf("kinds: %+v", kinds)
	}
	services := decode[struct{ Services []service }](t, f.get(t, "/api/v1/services"))
	if len(services.Services) != 2 || services.Services[0].Name != "db" || len(services.Services[1].Series) != 2 ||
		services.Services[1].Series[0]["namespace"] != "web" {
		t.Errorf("services: %+v", services)
	}
	if got := string(f.get(t, "/api/v1/services?to=now-3h")); !strings.Contains(got, `"services":[]`) {
		t.Errorf("no services: %s", got)
	}
	line := decode[struct {
		Values  []*int64
		Lost    []uint64
		Seconds float64 `json:"bucket_seconds"`
	}](t, f.get(t, "/api/v1/timeline?from=now-5m&buckets=10&service=nginx"))
	if len(line.Values) != 10 || line.Seconds != 30 || line.Values[0] != nil || line.Values[6] == nil || *line.Values[6] != 400_000_000 {
		t.Errorf("timeline: %+v", line)
	}
	if len(line.Lost) != 10 {
		t.Errorf("lost: %v", line.Lost)
	}
}

func TestStatus(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Status = func() Status { return Status{Started: now} } })
	text := string(f.get(t, "/api/v1/status"))
	if strings.Contains(text, "null") {
		t.Errorf("status has null: %s", text)
	}
	f = newFixture(t)
	got := decode[map[string]any](t, f.get(t, "/api/v1/status"))
	if got["uptime_seconds"] != 3600.0 || got["version"] != "v1.2.3" || got["store"].(map[string]any)["paused"] != "no space left" {
		t.Errorf("status: %v", got)
	}
	// What the document says of the status is what there is.
	var doc apiDocument
	if err := json.Unmarshal(openAPIDocument, &doc); err != nil {
		t.Fatal(err)
	}
	properties := doc.Components.Schemas["status"].(map[string]any)["properties"].(map[string]any)
	for name := range got {
		if properties[name] == nil {
			t.Errorf("%s is in the status and not in the document", name)
		}
	}
	for name := range properties {
		if _, ok := got[name]; !ok && name != "waiting" {
			t.Errorf("%s is in the document and not in the status", name)
		}
	}
}

func TestMetrics(t *testing.T) {
	f := newFixture(t, func(o *Options) {
		o.Metrics = func() (s metrics.Snapshot) {
			s.Add(metrics.UnwindTablesTotal, 4, "compiled")
			return s
		}
	})
	f.get(t, "/api/v1/kinds")
	f.request("GET", "/nowhere/at/all")
	text := string(f.get(t, "/metrics"))
	for _, want := range []string{
		`ebpfprof_build_info{version="v1.2.3"} 1`, `ebpfprof_ready 1`,
		`ebpfprof_samples_total{kind="cpu",result="delivered"} 10`, `ebpfprof_samples_total{kind="cpu",result="lost"} 2`,
		`ebpfprof_samples_lost_total{kind="cpu",reason="ring_full"} 2`, `ebpfprof_unwind_tables_total{result="compiled"} 4`,
		`ebpfprof_overhead_cpu_seconds_total{part="user"} 2.5`, `ebpfprof_store_paused 1`, `ebpfprof_store_dropped_windows_total{reason="no_space"} 1`,
		`ebpfprof_push_requests_total{outcome="ok",target="pyroscope"} 5`, `ebpfprof_push_dropped_profiles_total{reason="too_old",target="pyroscope"} 3`,
		`ebpfprof_config_last_reload_successful 1`, `ebpfprof_config_last_reload_success_timestamp_seconds 1.772597167e+09`,
		`ebpfprof_http_requests_total{code="200",route="/api/v1/kinds"} 1`, `ebpfprof_http_requests_total{code="404",route="other"} 1`,
		`ebpfprof_live_readers 0`,
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("metrics lack %s", want)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("promlint: %s: %s", p.Metric, p.Text)
	}
	w := f.request("GET", "/metrics", "Accept", "application/openmetrics-text;version=1.0.0")
	if !strings.HasPrefix(w.Header().Get("Content-Type"), "application/openmetrics-text") || !strings.HasSuffix(w.Body.String(), "# EOF\n") {
		t.Errorf("OpenMetrics: %v", w.Header())
	}
	if one := string(f.get(t, "/metrics?name[]=ebpfprof_ready")); strings.Contains(one, "build_info") || !strings.Contains(one, "ebpfprof_ready 1") {
		t.Errorf("one metric: %s", one)
	}
}

func TestCompression(t *testing.T) {
	f := newFixture(t)
	for accept, want := range map[string]bool{
		"gzip": true, "br, gzip;q=0.5": true, "*": true, "": false, "br": false, "gzip;q=0": false, "gzip; q=0.0": false, "identity": false,
	} {
		w := f.request("GET", "/api/v1/profile?format=json", "Accept-Encoding", accept)
		if got := w.Header().Get("Content-Encoding") == "gzip"; got != want {
			t.Errorf("Accept-Encoding %q: compressed %v", accept, got)
		}
		if w.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("Vary is %q", w.Header().Get("Vary"))
		}
		if !want {
			continue
		}
		z, err := gzip.NewReader(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		decode[flame](t, []byte(readAll(t, z)))
	}
	for _, path := range []string{"/api/v1/profile", "/api/v1/profile?format=svg", "/", "/metrics", "/healthz"} {
		if w := f.request("HEAD", path); w.Code != 200 {
			t.Errorf("HEAD %s: %d", path, w.Code)
		}
	}
}

package pyroscope_test

import (
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/config"

	"github.com/ebpfprof/ebpfprof/pkg/export"
	"github.com/ebpfprof/ebpfprof/test/pyroscope"
)

func writeFile(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestAuthentication(t *testing.T) {
	for name, c := range map[string]struct {
		http *config.HTTPClientConfig
		want string
	}{
		"none":   {nil, ""},
		"basic":  {&config.HTTPClientConfig{BasicAuth: &config.BasicAuth{Username: "u", PasswordFile: writeFile(t, "p\n")}}, "Basic dTpw"},
		"bearer": {&config.HTTPClientConfig{Authorization: &config.Authorization{Type: "Bearer", CredentialsFile: writeFile(t, "tok\n")}}, "Bearer tok"},
		"header": {&config.HTTPClientConfig{HTTPHeaders: &config.Headers{Headers: map[string]config.Header{
			"Authorization-Extra": {Values: []string{"x"}}}}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			server := &pyroscope.Server{Rules: strict(), Tenant: "team"}
			server.SetFault(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
				if got := r.Header.Get("Authorization"); got != c.want || name == "header" && r.Header.Get("Authorization-Extra") != "x" {
					t.Errorf("headers: %v", r.Header)
				}
				next.ServeHTTP(w, r)
			})
			e := newExporter(t, export.Options{URL: serve(t, server).URL, HTTP: c.http, Tenant: "team"})
			if err := e.Push(t.Context(), interval("cpu", time.Now(), 1, 1)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWrongTenant(t *testing.T) {
	server := &pyroscope.Server{Rules: strict(), Tenant: "team"}
	e := newExporter(t, export.Options{URL: serve(t, server).URL})
	err := e.Push(t.Context(), interval("cpu", time.Now(), 2, 1))
	if s := e.Status(); err == nil || s.Dropped[export.DropUnauthorized] != 2 {
		t.Errorf("%v; %+v", err, s)
	}
}

func TestTLS(t *testing.T) {
	server := &pyroscope.Server{Rules: strict()}
	h := httptest.NewTLSServer(server.Handler())
	t.Cleanup(h.Close)
	ca := writeFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Certificate().Raw})))
	trusting := newExporter(t, export.Options{URL: h.URL, HTTP: &config.HTTPClientConfig{TLSConfig: config.TLSConfig{CAFile: ca}}})
	if err := trusting.Push(t.Context(), interval("cpu", time.Now(), 1, 1)); err != nil {
		t.Error(err)
	}
	if len(server.Profiles()) != 1 {
		t.Errorf("%d profiles", len(server.Profiles()))
	}
	doubting := newExporter(t, export.Options{URL: h.URL, SpoolDir: t.TempDir()})
	run(t, doubting)
	doubting.Add(interval("cpu", time.Now(), 1, 1))
	s := eventually(t, doubting, "a failure", func(s export.Status) bool { return s.LastError != "" })
	if s.Pushed != 0 || s.Ambiguous != 0 || len(server.Profiles()) != 1 {
		t.Errorf("without the CA: %+v", s)
	}
}

func TestProxy(t *testing.T) {
	server := &pyroscope.Server{Rules: strict()}
	var passed atomic.Int32
	behind := serve(t, server)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		passed.Add(1)
		req, err := http.NewRequestWithContext(r.Context(), r.Method, behind.URL+r.URL.Path, r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		req.Header = r.Header
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	}))
	t.Cleanup(proxy.Close)
	var url config.URL
	if err := url.UnmarshalJSON([]byte(`"` + proxy.URL + `"`)); err != nil {
		t.Fatal(err)
	}
	e := newExporter(t, export.Options{
		URL: "http://pyroscope.invalid", HTTP: &config.HTTPClientConfig{ProxyConfig: config.ProxyConfig{ProxyURL: url}},
	})
	if err := e.Push(t.Context(), interval("cpu", time.Now(), 1, 1)); err != nil {
		t.Fatal(err)
	}
	if passed.Load() != 1 || len(server.Profiles()) != 1 {
		t.Errorf("%d requests by the proxy", passed.Load())
	}
}

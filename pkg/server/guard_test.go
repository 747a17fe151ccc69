package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHost(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Hosts = []string{"Profiler.example.org:9780", "::1"} })
	for host, want := range map[string]int{
		"127.0.0.1:9780": 200, "localhost:9780": 200, "LOCALHOST": 200, "localhost.": 200, "x.localhost": 200, "[::1]:9780": 200,
		"10.1.2.3:9780": 200, "[fe80::1]": 200, "profiler.example.org": 200, "PROFILER.example.org:80": 200,
		"evil.example": 403, "evil.example:9780": 403, "localhost.evil.example": 403, "notlocalhost": 403, "127.0.0.1.evil.example": 403,
		"profiler.example.org.evil.example": 403, "2130706433": 403, "": 403, "<script>": 403,
	} {
		for _, path := range []string{"/", "/healthz", "/metrics", "/api/v1/status", "/nothing"} {
			w := f.request("GET", path, "Host", host)
			if path == "/nothing" && want == 200 {
				if w.Code != 404 {
					t.Errorf("host %q, %s: %d, want 404", host, path, w.Code)
				}
			} else if w.Code != want {
				t.Errorf("host %q, %s: %d, want %d", host, path, w.Code, want)
			}
		}
	}
}

func TestOrigin(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct {
		name   string
		method string
		path   string
		want   int
		header []string
	}{
		{"curl", "POST", "/-/reload", 200, nil},
		{"our page", "POST", "/-/reload", 200, []string{"Origin", "http://127.0.0.1:9780", "Sec-Fetch-Site", "same-origin"}},
		{"a form of another site", "POST", "/-/reload", 403, []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}},
		{"another port", "POST", "/-/reload", 403, []string{"Origin", "http://127.0.0.1:8080"}},
		{"a file", "POST", "/-/reload", 403, []string{"Origin", "null"}},
		{"without Origin", "POST", "/-/reload", 403, []string{"Sec-Fetch-Site", "cross-site"}},
		{"a reload by a link", "GET", "/-/reload", 405, nil},
		{"fetch by another site", "GET", "/api/v1/status", 403, []string{"Origin", "https://evil.example"}},
		{"an image on another site", "GET", "/api/v1/profile?format=svg", 403, []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}},
		{"a frame on another site", "GET", "/", 403, []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}},
		{"the stream, by another site", "GET", "/api/v1/live", 403, []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "cors"}},
		{"the stream, by a link", "GET", "/api/v1/live", 403, []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}},
		{"a recording, by a link", "GET", "/pprof/nginx/profile", 403, []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}},
		{"a link on a dashboard", "GET", "/api/v1/profile?format=svg", 200, []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}},
		{"typed by a user", "GET", "/", 200, []string{"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate"}},
	} {
		if w := f.request(c.method, c.path, c.header...); w.Code != c.want {
			t.Errorf("%s: %d %s, want %d", c.name, w.Code, w.Body, c.want)
		}
	}
	text := string(f.get(t, "/metrics"))
	if !strings.Contains(text, `ebpfprof_http_refused_total{reason="origin"} 10`) {
		t.Errorf("refusals are not counted:\n%s", text)
	}
}

func TestMethodsAndBodies(t *testing.T) {
	f := newFixture(t)
	for _, r := range f.table() {
		path := strings.Replace(strings.Replace(r.path, "{$}", "", 1), "{service}", "nginx", 1)
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
			if method == r.method {
				continue
			}
			w := f.request(method, path)
			if w.Code != http.StatusMethodNotAllowed || !strings.Contains(w.Header().Get("Allow"), r.method) {
				t.Errorf("%s %s: %d, Allow %q", method, path, w.Code, w.Header().Get("Allow"))
			}
		}
		if r.stream {
			if w := f.request("HEAD", path); w.Code != http.StatusMethodNotAllowed {
				t.Errorf("HEAD %s: %d", path, w.Code)
			}
		}
	}
	r := httptest.NewRequest("POST", "/-/reload", strings.NewReader("x"))
	r.Host = "localhost"
	w := httptest.NewRecorder()
	f.Handler().ServeHTTP(w, r)
	if w.Code != http.StatusRequestEntityTooLarge || w.Header().Get("Connection") != "close" {
		t.Errorf("a body: %d %v", w.Code, w.Header())
	}
}

// TestHeaders: every answer, refusals too, says how little it may do in a browser.
func TestHeaders(t *testing.T) {
	f := newFixture(t)
	for _, path := range []string{"/metrics", "/api/v1/status", "/api/v1/profile?format=svg", "/api/v1/profile?from=x", "/nothing", "/pprof/a/heap"} {
		h := f.request("GET", path).Header()
		policy := h.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: policy %q lacks %s", path, policy, want)
			}
		}
		scripts := strings.Contains(policy, "script-src")
		if svg := strings.Contains(path, "svg"); scripts != svg || svg != strings.Contains(policy, "sandbox allow-scripts") {
			t.Errorf("%s: policy %q", path, policy)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cache-Control": "no-store",
			"Cross-Origin-Resource-Policy": "same-origin", "Referrer-Policy": "no-referrer",
		} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q, want %q", path, name, h.Get(name), want)
			}
		}
		if h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s is open to other origins", path)
		}
	}
}

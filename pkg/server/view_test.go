package server

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestServeFile: a page that holds everything is served as it is, to who may have it, and nothing else is.
func TestServeFile(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- ServeFile(ctx, l, []byte("<!doctype html>page")) }()
	url := "http://" + l.Addr().String()
	resp, err := http.Get(url + "/#view=table")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	policy := resp.Header.Get("Content-Security-Policy")
	if err != nil || string(body) != "<!doctype html>page" || resp.Header.Get("Content-Type") != "text/html; charset=utf-8" ||
		!strings.Contains(policy, "frame-ancestors 'none'") || !strings.Contains(policy, "sha256-") || strings.Contains(policy, "unsafe") {
		t.Errorf("%v %q, policy %q", err, body, policy)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("the end: %v", err)
	}
	s := newFileServer([]byte("page"))
	for _, c := range []struct {
		method, path, header, value string
		want                        int
	}{
		{"GET", "/", "", "", 200}, {"GET", "/?x=y", "", "", 200}, {"POST", "/", "", "", 405},
		{"GET", "/api/v1/status", "", "", 404}, {"GET", "/metrics", "", "", 404}, {"GET", "/etc/passwd", "", "", 404},
		{"GET", "/", "Host", "evil.example", 403}, {"GET", "/", "Origin", "http://evil.example", 403}, {"GET", "/", "Sec-Fetch-Site", "cross-site", 403},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		r.Host = "127.0.0.1:1234"
		if c.header == "Host" {
			r.Host = c.value
		} else if c.header != "" {
			r.Header.Set(c.header, c.value)
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%+v: %d %s", c, w.Code, w.Body)
		}
	}
}

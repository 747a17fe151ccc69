package server

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/ebpfprof/ebpfprof/web"
)

// TestPage: the page and all that it refers to are there, with the policy, the caching and the compression that they need.
func TestPage(t *testing.T) {
	f := newFixture(t)
	page := string(f.get(t, "/"))
	parts := regexp.MustCompile(`(?:href|src|content)="(assets/[^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(parts) != 3 {
		t.Fatalf("the page refers to %d parts: %s", len(parts), page)
	}
	if strings.Contains(page, " style=") || strings.Contains(page, "<style") || regexp.MustCompile(`<script[^>]*>[^<]`).MatchString(page) {
		t.Error("the page has something inline, which its policy forbids")
	}
	for path, cache := range map[string]string{
		"/": cacheRevalidate, "/?view=table&service=a": cacheRevalidate,
		"/" + parts[0][1]: cacheForever, "/" + parts[1][1]: cacheForever, "/" + parts[2][1]: cacheForever,
	} {
		plain, zipped := f.request("GET", path), f.request("GET", path, "Accept-Encoding", "br, gzip")
		if plain.Code != 200 || zipped.Code != 200 || zipped.Header().Get("Content-Encoding") != "gzip" || plain.Header().Get("Content-Encoding") != "" {
			t.Errorf("%s: %d, %d %v", path, plain.Code, zipped.Code, zipped.Header())
			continue
		}
		z, err := gzip.NewReader(zipped.Body)
		if err != nil {
			t.Fatal(err)
		}
		if readAll(t, z) != plain.Body.String() {
			t.Errorf("%s: compressed it is something else", path)
		}
		h := plain.Header()
		if h.Get("Cache-Control") != cache || h.Get("Vary") != "Accept-Encoding" || h.Get("Content-Type") == "" {
			t.Errorf("%s: %v", path, h)
		}
		for _, tag := range []string{h.Get("ETag"), `"x", ` + h.Get("ETag"), strings.TrimPrefix(h.Get("ETag"), "W/")} {
			if again := f.request("GET", path, "If-None-Match", tag); again.Code != http.StatusNotModified || again.Body.Len() > 0 ||
				again.Header().Get("ETag") != h.Get("ETag") || again.Header().Get("Cache-Control") != cache {
				t.Errorf("%s again: %d %v", path, again.Code, again.Header())
			}
		}
		if other := f.request("GET", path, "If-None-Match", `W/"other"`); other.Code != 200 {
			t.Errorf("%s with another tag: %d", path, other.Code)
		}
		if head := f.request("HEAD", path); head.Code != 200 || head.Body.Len() > 0 {
			t.Errorf("HEAD %s: %d, %d bytes", path, head.Code, head.Body.Len())
		}
	}
	for _, path := range []string{"/assets/", "/assets/index.html", "/assets/nothing.js", "/assets/..%2f..%2fetc%2fpasswd", "/page.css"} {
		if w := f.request("GET", path); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// TestPagePolicy: the page may do what it needs and no more, and its parts may do nothing.
func TestPagePolicy(t *testing.T) {
	f := newFixture(t)
	policy := f.request("GET", "/").Header().Get("Content-Security-Policy")
	want := "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; worker-src 'self' blob:; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	if policy != want {
		t.Errorf("policy %q, want %q", policy, want)
	}
	for _, a := range web.Assets() {
		h := f.request("GET", "/assets/"+a.Name).Header()
		want := "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
		if strings.HasSuffix(a.Name, ".js") {
			want = "default-src 'none'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
		}
		if got := h.Get("Content-Security-Policy"); got != want {
			t.Errorf("%s: policy %q", a.Name, got)
		}
		if !bytes.Equal(f.get(t, "/assets/"+a.Name), a.Data) {
			t.Errorf("%s is not what was built", a.Name)
		}
	}
	for _, header := range [][]string{{"Host", "evil.example"}, {"Origin", "http://evil.example"}, {"Sec-Fetch-Site", "cross-site"}} {
		if w := f.request("GET", "/assets/"+web.Assets()[0].Name, header...); w.Code != http.StatusForbidden {
			t.Errorf("%v: %d", header, w.Code)
		}
	}
}

package server

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// hostileNames are what a process may call itself and its functions.
func hostileNames() []string {
	return []string{
		"<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "javascript:alert(1)", "]]></script><script>x</script>", "{{.Status}}",
		"a\r\nX-Evil: 1", "\x1b[31mred\x00", "\u202egnp.exe\u2066", "not UTF-8 \xff\xfe", "../../etc/passwd", "..", ".", "/", "a/b;c d?e#f%20&g=h",
		"\u2028\u2029", strings.Repeat("long<", 13107), // 64 KiB
	}
}

// TestHostileNames: whatever services, threads and functions are called, every answer is valid of its kind, nothing in it is
// markup or a header.
func TestHostileNames(t *testing.T) {
	for i, name := range hostileNames() {
		f := newFixture(t)
		f.history.windows = []fakeWindow{window(name, now.Add(-60e9), 10e9, stackCount{name, []string{name, "leaf"}, 3})}
		f.history.windows[0].Service = name
		t.Run(fmt.Sprint(i), func(t *testing.T) { checkHostile(t, f, name) })
	}
}

func checkHostile(t *testing.T, f *fixture, name string) {
	for _, format := range []string{"svg", "txt", "pprof"} {
		query := url.Values{"kind": {"cpu"}, "service": {name}, "from": {"now-5m"}, "format": {format}}.Encode()
		if len(query) <= maxQuery {
			checkAnswer(t, f, &url.URL{Path: "/api/v1/profile", RawQuery: query})
		}
	}
	for _, path := range []string{"/api/v1/services", "/api/v1/profile?format=json", "/api/v1/diff", "/api/v1/profile?format=stacks", "/api/v1/profile?format=speedscope"} {
		b := f.get(t, path)
		if !json.Valid(b) || !utf8.Valid(b) || bytes.ContainsAny(b, "\x1b\x00<") && path != "/api/v1/profile?format=speedscope" {
			t.Errorf("%s: %.200q", path, b)
		}
		if len(b) > 256<<10 && path != "/api/v1/services" {
			t.Errorf("%s: %d bytes", path, len(b))
		}
	}
}

// checkAnswer asks for a profile of the service.
func checkAnswer(t *testing.T, f *fixture, u *url.URL) {
	t.Helper()
	w := f.request("GET", u.String())
	if w.Code != 200 {
		t.Errorf("%s: %d %s", u, w.Code, w.Body)
		return
	}
	for header, values := range w.Header() {
		if strings.HasPrefix(header, "X-Evil") || strings.ContainsAny(strings.Join(values, ""), "\r\n\x00\x1b") {
			t.Errorf("header %s: %q", header, values)
		}
	}
	if name := w.Header().Get("Content-Disposition"); strings.ContainsAny(name, `/\<>'%;`) && name != "" && strings.Count(name, ";") != 1 {
		t.Errorf("file name %q", name)
	}
	if u.Query().Get("format") != "svg" {
		return
	}
	for d := xml.NewDecoder(bytes.NewReader(w.Body.Bytes())); ; {
		token, err := d.Token()
		if err == io.EOF {
			return
		} else if err != nil {
			t.Fatalf("%s: %v", u, err)
		}
		if e, ok := token.(xml.StartElement); ok && (e.Name.Local == "img" || e.Name.Local == "a") {
			t.Errorf("%s: element %v", u, e.Name)
		}
	}
}

// TestHostileLive: the stream's strings are valid and bounded, and a line is a message whatever the names.
func TestHostileLive(t *testing.T) {
	f := newFixture(t)
	c, next := openLive(t, f, serveTest(t, f)+"/api/v1/live")
	next()
	var samples []profile.LiveSample
	for _, name := range hostileNames() {
		samples = append(samples, liveSampleOf(name, 0, liveStackOf(name), 1))
	}
	f.feed.send(liveBatchOf(0, 1, 0, samples...))
	next()
	if len(c.counts) != len(samples) || fmt.Sprint(c.types) != "[hello batch]" {
		t.Errorf("%d counts of %d in %v", len(c.counts), len(samples), c.types)
	}
	for _, s := range c.strings {
		if len(s) > maxName || !utf8.ValidString(s) {
			t.Errorf("string of %d bytes: %.100q", len(s), s)
		}
	}
}

// TestHostileStatus: what a daemon says of files and errors is text, too.
func TestHostileStatus(t *testing.T) {
	for _, name := range hostileNames() {
		f := newFixture(t, func(o *Options) {
			o.Status = func() Status {
				s := testStatus()
				s.Ready, s.Waiting, s.Version, s.Store.Paused, s.Push[0].URL, s.Push[0].LastError = false, name, name, name, name, name
				s.Kinds[0].Lost, s.Kinds[1].Problem = map[string]uint64{name: 1}, name
				return s
			}
		})
		for _, bad := range []string{"\x1b", "\u202e", "\x00"} {
			if strings.Contains(f.request("GET", "/ready").Body.String(), bad) {
				t.Errorf("/ready has %q", bad)
			}
		}
		if b := f.get(t, "/api/v1/status"); !json.Valid(b) || bytes.ContainsAny(b, "<\x1b") {
			t.Errorf("status: %.200q", b)
		}
	}
}

func FuzzVisible(f *testing.F) {
	for _, name := range hostileNames() {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		shown := visible(name)
		if !utf8.ValidString(shown) || strings.ContainsAny(shown, "\x00\x1b\r\n\u202e\u2066") || utf8.RuneCountInString(shown) > maxShown {
			t.Errorf("visible(%q) = %q", name, shown)
		}
		if file := fileName(".x", name); strings.Trim(file, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "" || len(file) > 120 {
			t.Errorf("fileName(%q) = %q", name, file)
		}
	})
}

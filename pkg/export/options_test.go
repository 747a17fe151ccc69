package export

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEndpoint(t *testing.T) {
	for in, want := range map[string]string{
		"http://h:4040":                             "http://h:4040/push.v1.PusherService/Push",
		"https://h/base/":                           "https://h/base/push.v1.PusherService/Push",
		"http://h/push.v1.PusherService/Push":       "http://h/push.v1.PusherService/Push",
		"http://u:p@h/x/push.v1.PusherService/Push": "http://u:p@h/x/push.v1.PusherService/Push",
		"h:4040":        "",
		"/path":         "",
		"ftp://h":       "",
		"http://":       "",
		"http://h:port": "",
	} {
		u, err := endpoint(in, pushPath)
		if want == "" {
			if err == nil {
				t.Errorf("%q: %v", in, u)
			}
		} else if err != nil || u.String() != want {
			t.Errorf("%q: %v, %v; want %s", in, u, err, want)
		}
	}
}

func TestBadOptions(t *testing.T) {
	for _, o := range []Options{{}, {URL: "http://h", MaxAge: -1}, {URL: "http://h", Queue: -1}, {URL: "http://h", SpoolDir: "/dev/null"}} {
		if _, err := NewPyroscope(o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
	if e, err := NewOTLP(Options{URL: "http://u:secret@h"}); err != nil || strings.Contains(e.Status().URL, "secret") {
		t.Errorf("%v, %v", e, err)
	}
}

func FuzzLabelName(f *testing.F) {
	f.Add("")
	f.Add("9-é.x")
	f.Fuzz(func(t *testing.T, s string) {
		name := labelName(s)
		if name == "" || len(name) > maxLabelName || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" ||
			name[0] >= '0' && name[0] <= '9' {
			t.Errorf("%q -> %q", s, name)
		}
		if l := limit(s, 5); len(l) > 5 || !utf8.ValidString(l) {
			t.Errorf("%q -> %q", s, l)
		}
	})
}

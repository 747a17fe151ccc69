package kernel

import (
	"strings"
	"testing"
)

func TestNewest(t *testing.T) {
	names := strings.Fields(`
		linux-image-6.1.0-9-cloud-amd64 linux-image-6.1.0-56-cloud-amd64 linux-image-6.1.0-56-cloud-amd64-dbg
		linux-image-6.1.0-57-amd64 linux-image-6.12.9+deb12-cloud-amd64 linux-image-6.12.117+deb12-cloud-amd64
		linux-image-6.12.117+deb12-cloud-amd64-unsigned linux-image-6.12.118+deb13-cloud-amd64
		linux-binary-7.3.4+deb13-cloud-amd64 linux-binary-7.10+deb13-cloud-amd64 linux-image-7.9.9+deb13-cloud-amd64
		linux-headers-6.1.0-99-cloud-amd64 linux-image-6.12.117+deb12-cloud-arm64 linux-image-cloud-amd64`)
	want := map[string]string{
		"5.10":       "",
		"6.1":        "linux-image-6.1.0-56-cloud-amd64",
		"6.12":       "linux-image-6.12.117+deb12-cloud-amd64",
		"6.12-arm64": "linux-image-6.12.117+deb12-cloud-arm64",
		"7":          "linux-binary-7.10+deb13-cloud-amd64",
	}
	for _, r := range Releases() {
		if got := r.newest(names); got != want[r.Name] {
			t.Errorf("%s: %q, want %q", r.Name, got, want[r.Name])
		}
		delete(want, r.Name)
	}
	if len(want) != 0 {
		t.Errorf("not in the matrix: %v", want)
	}
}

func TestCompareVersions(t *testing.T) {
	ordered := []string{"", "5.10", "6.1", "6.1.0-9", "6.1.0-56", "6.12", "6.12.9", "6.12.117", "7.2.13", "7.10"}
	for i, a := range ordered {
		for j, b := range ordered {
			if got := compareVersions(a, b); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("compare %q with %q: %d", a, b, got)
			}
		}
	}
}

func TestDebianMirror(t *testing.T) {
	for _, c := range []struct {
		sites []string
		want  string
	}{
		{[]string{"https://other.example/node", "http://m.example/debian-security/", "http://n.example/x/debian/"}, "http://n.example/x/debian"},
		{[]string{"http://m.example/debian-security"}, "http://m.example/debian"},
		{[]string{"http://m.example/ubuntu"}, ""},
		{nil, ""},
	} {
		if got, err := debianMirror(c.sites); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%v: %q, %v; want %q", c.sites, got, err, c.want)
		}
	}
}

// Package kernel fetches the distribution kernels that the guests boot, and takes
// the BTF out of them. It needs apt and dpkg, but installs nothing and leaves the
// system's own apt as it is.
package kernel

import (
	"regexp"
	"strings"
)

// A Release is one row of the matrix: the newest package of a series. Debian's cloud
// kernels have what a guest needs built in, and BTF.
type Release struct {
	Name     string // as in reports: 6.1, or 6.12-arm64
	Series   string // 5.10, 6.1, 6.12, or 7 for the newest backport
	Arch     string // amd64, arm64
	Required bool   // the matrix fails if the archive has none
	MayLack  bool   // ebpfprof need not work on it, but must say what is missing
	Modules  bool   // its headers build modules with bookworm's compiler and libc

	suite   string         // of Debian's archive
	pattern *regexp.Regexp // matches the names of its packages whole
}

// Releases returns the matrix. 5.10 is there for as long as the archive keeps it:
// bullseye's support has ended. Backports come and go.
func Releases() []Release {
	return []Release{
		{"6.1", "6.1", "amd64", true, false, true, "bookworm-security",
			regexp.MustCompile(`^linux-image-6\.1\.0-\d+-cloud-amd64$`)},
		{"6.12", "6.12", "amd64", true, false, true, "bookworm-security",
			regexp.MustCompile(`^linux-image-6\.12\.\d+\+deb12-cloud-amd64$`)},
		{"6.12-arm64", "6.12", "arm64", true, false, false, "bookworm-security",
			regexp.MustCompile(`^linux-image-6\.12\.\d+\+deb12-cloud-arm64$`)},
		// Since 6.19 the image itself is in linux-binary-*.
		{"7", "7", "amd64", false, false, false, "trixie-backports",
			regexp.MustCompile(`^linux-(binary|image)-7[0-9.]*\+deb13-cloud-amd64$`)},
		{"5.10", "5.10", "amd64", false, true, true, "bullseye-security",
			regexp.MustCompile(`^linux-image-5\.10\.0-\d+-cloud-amd64$`)},
	}
}

// newest returns the name among names that the pattern matches and whose version is
// the highest, or "".
func (r Release) newest(names []string) string {
	best := ""
	for _, name := range names {
		if r.pattern.MatchString(name) && (best == "" || compareVersions(version(name), version(best)) > 0) {
			best = name
		}
	}
	return best
}

// version strips linux-image- or linux-binary-, which say nothing about age.
func version(name string) string {
	return strings.TrimPrefix(strings.TrimPrefix(name, "linux-image-"), "linux-binary-")
}

// compareVersions orders as sort -V does for names without ~: digits by value, the
// rest by bytes.
func compareVersions(a, b string) int {
	for a != "" && b != "" {
		da, db := digits(a), digits(b)
		if da > 0 && db > 0 {
			x, y := strings.TrimLeft(a[:da], "0"), strings.TrimLeft(b[:db], "0")
			if len(x) != len(y) {
				return len(x) - len(y)
			}
			if c := strings.Compare(x, y); c != 0 {
				return c
			}
			a, b = a[da:], b[db:]
			continue
		}
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		a, b = a[1:], b[1:]
	}
	return len(a) - len(b)
}

func digits(s string) int {
	return len(s) - len(strings.TrimLeft(s, "0123456789"))
}

package proc

import (
	"slices"
	"testing"
)

func TestPreloads(t *testing.T) {
	for environ, want := range map[string][]string{
		"":                                       nil,
		"PATH=/bin\x00LD_PRELOAD=\x00":           nil,
		"A=LD_PRELOAD=/x\x00":                    nil,
		"LD_PRELOAD=/usr/lib/a.so:/b.so /c.so":   {"/usr/lib/a.so", "/b.so", "/c.so"},
		"LD_PRELOAD=a.so:/../../etc/b.so\x00B=1": {"/etc/b.so"},
	} {
		if got := preloads(environ); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", environ, got, want)
		}
	}
}

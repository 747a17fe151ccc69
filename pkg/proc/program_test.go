package proc

import (
	"encoding/binary"
	"os"
	"testing"
)

func TestOpenProgram(t *testing.T) {
	file, name, id, err := FS{}.OpenProgram(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	want, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	a, _ := file.Stat()
	b, err := os.Stat(want)
	if err != nil || !os.SameFile(a, b) || name != want || id.Ino == 0 {
		t.Errorf("opened %s (%+v), this test is %s", name, id, want)
	}
	if _, err := (FS{}).StartVector(0); err != nil {
		t.Error(err)
	}
}

func TestParseAuxv(t *testing.T) {
	vector := func(words ...uint64) (b []byte) {
		for _, w := range words {
			b = binary.NativeEndian.AppendUint64(b, w)
		}
		return b
	}
	for i, c := range []struct {
		b  []byte
		v  StartVector
		ok bool
	}{
		{vector(3, 64, 9, 0x4000, 0, 0), StartVector{Entry: 0x4000}, true},
		{vector(0, 0, 9, 0x4000), StartVector{}, false},
		{vector(9, 0x4000)[:12], StartVector{}, false},
		{nil, StartVector{}, false},
	} {
		if v, ok := parseAuxv(c.b); v != c.v || ok != c.ok {
			t.Errorf("case %d: %+v, %v", i, v, ok)
		}
	}
}

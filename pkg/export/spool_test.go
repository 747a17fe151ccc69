package export

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestSpool(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	s, files, err := openSpool(dir)
	if err != nil || len(files) != 0 {
		t.Fatalf("%v, %v", files, err)
	}
	newer := batch{time.Unix(200, 5), 3, []byte("newer")}
	older := batch{time.Unix(100, 0), 4, []byte("older")}
	for _, b := range []batch{newer, older} {
		if _, err := s.write(b); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"new-123.push", "other.push", "00000000000000000001-ab-x.push", "note"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, files, err = openSpool(dir); err != nil || len(files) != 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for i, want := range []batch{older, newer} {
		got, err := s.read(files[i].name)
		if err != nil || !got.at.Equal(want.at) || got.profiles != want.profiles || !bytes.Equal(got.body, want.body) {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
		if files[i].profiles != want.profiles || !files[i].at.Equal(want.at) {
			t.Errorf("name says %+v", files[i])
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "new-123.push")); !errors.Is(err, os.ErrNotExist) {
		t.Error("what was left unfinished is still there")
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// FuzzSpool: no file makes more of itself than it is, and none passes that was changed.
func FuzzSpool(f *testing.F) {
	f.Add(encodeSpool(batch{time.Unix(5, 6), 7, []byte("body")}))
	f.Add([]byte(spoolMagic))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := decodeSpool(data)
		if err != nil {
			return
		}
		if again := encodeSpool(b); !bytes.Equal(again, data) {
			t.Errorf("%x reads as %+v, which is %x", data, b, again)
		}
	})
}

func FuzzSpoolName(f *testing.F) {
	f.Add("00000000000000000100-01020304-5.push")
	f.Add("-1-x-0.push")
	f.Fuzz(func(t *testing.T, name string) {
		if s, ok := parseSpoolName(name); ok && (s.profiles <= 0 || s.at.UnixNano() < 0) {
			t.Errorf("%q: %+v", name, s)
		}
	})
}

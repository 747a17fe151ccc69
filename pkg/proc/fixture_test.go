package proc

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// fixture unpacks testdata/name.txtar and returns its trees. "$DIR" in a file is
// where it is unpacked. A file whose name ends in "@" becomes a symbolic link.
func fixture(t *testing.T, name string) FS {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, file := range archive.Files {
		path := filepath.Join(dir, file.Name)
		data := strings.ReplaceAll(string(file.Data), "$DIR", dir)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if link, ok := strings.CutSuffix(path, "@"); ok {
			err = os.Symlink(strings.TrimSpace(data), link)
		} else {
			err = os.WriteFile(path, []byte(data), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return FS{Proc: filepath.Join(dir, "proc"), Sys: filepath.Join(dir, "sys"), Root: filepath.Join(dir, "root")}
}

// rel makes the directory of a reference independent of where the fixture is.
func rel(f FS, ref CgroupRef) string {
	return strings.TrimPrefix(ref.Dir, filepath.Dir(f.Proc)+"/")
}

func mustContain(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
}

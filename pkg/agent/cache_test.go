package agent

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ebpfprof/ebpfprof/pkg/unwind"
)

func TestTableCache(t *testing.T) {
	exe, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	info, err := exe.Stat()
	if err != nil {
		t.Fatal(err)
	}
	table, err := unwind.Compile(exe, info.Size(), unwind.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := openCache(filepath.Join(t.TempDir(), "a", "b"))
	path := c.path(exe, "id")
	if path == "" || c.load(path) != nil {
		t.Fatalf("path %q of an empty cache", path)
	}
	c.store(path, table)
	got := c.load(path)
	if got == nil || got.Len() != table.Len() {
		t.Fatalf("stored a table and got %v", got)
	}
	if other := c.path(exe, "another id"); other == path {
		t.Error("two build IDs under one path")
	}
	copied, err := os.Create(filepath.Join(t.TempDir(), "copy"))
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	if c.path(copied, "id") == path {
		t.Error("a file that claims the build ID of another gets its table")
	}
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	if c.load(path) != nil {
		t.Error("a cut file was loaded")
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a cut file stays")
	}
	c.store(path, table)
	c.prune(0)
	if left, _ := os.ReadDir(c.dir); len(left) != 0 {
		t.Errorf("%d files left after pruning to nothing", len(left))
	}
}

// Others must not be able to write tables for us.
func TestTableCacheOfOthersIsNone(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if c := openCache(dir); c.dir != "" {
		t.Error("a directory that anybody can write to was taken")
	}
	if c := openCache(""); c.dir != "" {
		t.Error("a cache without a directory")
	}
}

package fakepmu

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// headers lays out the packages of a kernel whose build copies the Makefile's own text
// into the module, so that a test sees how it was called.
func headers(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	tree := filepath.Join(root, "usr/src/linux-headers-6.1.0-1-cloud-amd64")
	if err := os.MkdirAll(tree, 0o755); err != nil {
		t.Fatal(err)
	}
	makefile := "COMMON = /usr/src/linux-headers-6.1.0-1-common\n" +
		"modules:\n\techo $(COMMON) > $(M)/fakepmu.ko\n\twc -c < $(M)/fakepmu.c >> $(M)/fakepmu.ko\n"
	if err := os.WriteFile(filepath.Join(tree, "Makefile"), []byte(makefile), 0o644); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestBuild(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("no make here")
	}
	root, cache := headers(t), t.TempDir()
	path, err := Build(t.Context(), root, cache)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if want := root + "/usr/src/linux-headers-6.1.0-1-common\n"; err != nil || !strings.HasPrefix(string(data), want) {
		t.Errorf("built with %q, %v, want %q", data, err, want)
	}
	if !strings.HasPrefix(filepath.Base(path), "6.1.0-1-cloud-amd64-") {
		t.Errorf("%s does not name its kernel", path)
	}
	if err := os.WriteFile(path, []byte("kept"), 0o644); err != nil {
		t.Fatal(err)
	}
	again, err := Build(t.Context(), root, cache)
	if data, _ := os.ReadFile(again); err != nil || again != path || string(data) != "kept" {
		t.Errorf("built again: %s, %v", again, err)
	}
	// Headers that were unpacked, used and moved have the paths of their new place.
	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(root, moved); err != nil {
		t.Fatal(err)
	}
	if path, err = Build(t.Context(), moved, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(path); !strings.HasPrefix(string(data), moved+"/usr/src/") {
		t.Errorf("built with %q, want below %s", data, moved)
	}
	left, _ := filepath.Glob(filepath.Join(cache, "build-*"))
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestBuildOfNothing(t *testing.T) {
	if path, err := Build(t.Context(), t.TempDir(), t.TempDir()); err == nil {
		t.Errorf("built %s without headers", path)
	}
}

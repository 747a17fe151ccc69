package proc

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// What a program will map is found before it does, as it is found in its mappings after.
func TestNeeded(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	var fs FS
	needed := map[FileID]string{}
	for _, e := range fs.Needed(cmd.Process.Pid) {
		needed[e.ID] = e.Hint.Path
	}
	var missing []string
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		mapped, err := fs.Executables(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		if len(mapped) < 3 {
			continue // program, loader and C library: it is still starting
		}
		missing = nil
		for _, e := range mapped[1:] {
			if _, ok := needed[e.ID]; !ok {
				missing = append(missing, e.Hint.Path)
			}
		}
		break
	}
	// The loader is the only one that nobody names.
	if len(missing) > 1 || len(needed) == 0 {
		t.Errorf("needed %v, and not found of what is mapped: %v", needed, missing)
	}
	if got := fs.Needed(1 << 30); got != nil {
		t.Errorf("a process that is not there needs %v", got)
	}
}

func TestResolveBelow(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "usr/lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"lib": "usr/lib", "usr/lib/a.so": "a.so.1", "usr/lib/abs.so": "/lib/a.so.1", "usr/lib/up.so": "../../../../etc/passwd",
		"usr/lib/loop.so": "loop.so",
	} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"/lib/a.so": "/usr/lib/a.so.1", "/lib/abs.so": "/usr/lib/a.so.1", "/lib/up.so": "/etc/passwd",
		"/lib/loop.so": "/usr/lib/loop.so", "/no/such": "/no/such", "/lib//x": "/usr/lib/x",
	} {
		if got := resolveBelow(root, name); got != want {
			t.Errorf("%s leads to %s, want %s", name, got, want)
		}
	}
}

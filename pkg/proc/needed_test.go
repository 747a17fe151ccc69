package proc

import (
	"os/exec"
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

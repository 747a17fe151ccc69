package target

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The programs do what their sources promise, by their own and the kernel's account.
func TestSplitKeepsItsShares(t *testing.T) {
	t.Parallel()
	out := Start(t, C(t, "split"), "1").Wait(t)
	for name, want := range map[string]float64{"heavy": 0.5, "medium": 0.3, "light": 0.2} {
		if got := Number(t, out, "share "+name); got < want-0.002 || got > want+0.01 {
			t.Errorf("%s used %.4f s, want %.1f", name, got, want)
		}
	}
	if got := Number(t, out, "cpu_seconds"); got < 1 || got > 1.1 {
		t.Errorf("used %.3f s of CPU time, want 1 and the start", got)
	}
}

func TestPrograms(t *testing.T) {
	t.Parallel()
	garbage := filepath.Join(t.TempDir(), "garbage")
	if err := exec.Command("truncate", "-s", "16384", garbage).Run(); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"threads":    {"2", "0.2", "name", "0.1"},
		"forker":     {"2", "name", "0.1"},
		"recursion":  {"50", "0.1"},
		"syscalls":   {"0.1"},
		"shortlived": {"100", "0.2", "1"},
		"host":       {Shared(t, "plugin"), "0.1"},
		"mapped":     {garbage, "0.1"},
	} {
		out := Start(t, C(t, name), args...).Wait(t)
		if name == "shortlived" && Number(t, out, "started") != 20 {
			t.Errorf("%s: %s", name, out)
		}
	}
}

// The Go program's inner function exists only inside of outer.
func TestInlinedIsInlined(t *testing.T) {
	t.Parallel()
	path := Go(t, "inlined")
	Start(t, path, "0.1").Wait(t)
	out, err := exec.Command("go", "tool", "nm", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	if nm := string(out); !strings.Contains(nm, " main.outer\n") || strings.Contains(nm, " main.inner\n") {
		t.Error("want main.outer and no main.inner in the symbol table")
	}
}

func TestKillEndsTheGroup(t *testing.T) {
	t.Parallel()
	p := Start(t, C(t, "forker"))
	p.Kill()
	for range 100 {
		// Zombies may wait for their new parent.
		if exec.Command("pgrep", "-r", "R,S,D", "-g", strconv.Itoa(p.PID)).Run() != nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("processes of the group still run after 2 s")
}

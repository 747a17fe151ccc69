package e2e

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// grower touches 64 MiB, page by page, while it is recorded, and lives on.
const grower = `
import mmap, time
m = mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
m.madvise(mmap.MADV_NOHUGEPAGE)
print("ready", flush=True)
time.sleep(2)
for i in range(0, 64 << 20, 4096):
    m[i] = 1
time.sleep(100)
`

// TestGrowth: the faults of a process explain by how much its memory has grown, and the summary says so; of a command that
// has ended there is nothing to compare with, and no coverage is made up.
func TestGrowth(t *testing.T) {
	needRoot(t)
	cmd := exec.Command("python3", "-c", grower)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("python3 says %q: %v", line, err)
	}
	type growth struct {
		GrownBytes   int64    `json:"grown_bytes"`
		FaultedBytes int64    `json:"faulted_bytes"`
		Coverage     *float64 `json:"coverage"`
		Ended        int      `json:"ended"`
	}
	record := func(args ...string) growth {
		t.Helper()
		dir := t.TempDir()
		summary := filepath.Join(dir, "summary.json")
		o := run(t, append([]string{"record", "-e", "page-faults:1", "-o", filepath.Join(dir, "x.pb.gz"), "--summary", summary}, args...)...)
		if o.exit != 0 || !strings.Contains(o.stderr, "growth: resident memory") {
			t.Fatalf("exit %d: %s", o.exit, o.stderr)
		}
		b, err := os.ReadFile(summary)
		if err != nil {
			t.Fatal(err)
		}
		var s struct {
			Events map[string]struct{ Growth *growth }
		}
		if err := json.Unmarshal(b, &s); err != nil || s.Events["page-faults"].Growth == nil {
			t.Fatalf("summary %s: %v", b, err)
		}
		return *s.Events["page-faults"].Growth
	}
	g := record("-p", strconv.Itoa(cmd.Process.Pid), "-d", "5s")
	if !within(g.GrownBytes, 64<<20, 0.05) || g.Coverage == nil || *g.Coverage < 0.95 || *g.Coverage > 1.1 || g.Ended != 0 {
		t.Errorf("growth %+v of 64 MiB", g)
	}
	if g := record("--", "true"); g.Coverage != nil || g.FaultedBytes == 0 || g.Ended != 1 {
		t.Errorf("growth of a command that has ended: %+v", g)
	}
}

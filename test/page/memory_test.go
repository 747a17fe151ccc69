package page_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestMemory: what a browser's process takes for a profile of 100,000 call paths, all threads and libraries of the
// browser included, beyond what it takes for one of a single path.
func TestMemory(t *testing.T) {
	browser := startBrowser(t)
	anonymous := func(paths int) float64 {
		t.Helper()
		var text strings.Builder
		for i := range paths {
			fmt.Fprintf(&text, "main;handler_%d;step_%d;leaf_%d %d\n", i%100, i%1000, i, 1+i%7)
		}
		path := filepath.Join(t.TempDir(), "many.folded")
		if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		b := open(t, browser, view(t, path), window{})
		b.wait("a total", `document.querySelector(".facts").textContent.includes("total")`)
		b.settle()
		most := 0.0 // of all: which process a tab gets is the browser's choice, and what was opened before is smaller
		for _, bytes := range renderers(t) {
			most = max(most, bytes)
		}
		return most
	}
	small, large := anonymous(1), anonymous(97_000)
	t.Logf("anonymous memory of the renderer: %.0f MB with one path, %.0f MB with 100,000 nodes", small/1e6, large/1e6)
	if small == 0 || large == 0 {
		t.Fatal("no renderer found")
	}
	if large-small > 150e6 {
		t.Errorf("100,000 nodes take %.0f MB, want at most 150", (large-small)/1e6)
	}
}

// renderers returns the anonymous memory, in bytes, of the processes that show pages for this test.
func renderers(t *testing.T) map[string]float64 {
	t.Helper()
	parents, memory, own := map[string]string{}, map[string]float64{}, fmt.Sprint(os.Getpid())
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		pid := filepath.Base(dir)
		status, err := os.ReadFile(filepath.Join(dir, "status"))
		if err != nil {
			continue // it has ended
		}
		fields := map[string]string{}
		for line := range strings.Lines(string(status)) {
			if f := strings.Fields(line); len(f) > 1 {
				fields[f[0]] = f[1]
			}
		}
		parents[pid] = fields["PPid:"]
		command, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil || !strings.Contains(string(command), "--type=renderer") || strings.Contains(string(command), "--top-chrome") {
			continue
		}
		if kb, err := strconv.ParseFloat(fields["RssAnon:"], 64); err == nil {
			memory[pid] = kb * 1024
		}
	}
	for pid := range memory {
		up := pid
		for up != "" && up != own {
			up = parents[up]
		}
		if up != own {
			delete(memory, pid)
		}
	}
	return memory
}

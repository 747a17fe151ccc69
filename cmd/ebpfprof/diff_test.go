package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// runCommand runs one command of the program and returns its exit code.
func runCommand(t *testing.T, cmd *cobra.Command, args ...string) int {
	t.Helper()
	cmd.SetArgs(args)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err := cmd.Execute()
	var exit *exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.code
	}
	return exitUsage
}

// foldedFiles writes two profiles: work grew from 100 to 150, idle shrank from 50 to 20.
func foldedFiles(t *testing.T) (dir, before, now string) {
	t.Helper()
	dir = t.TempDir()
	before, now = filepath.Join(dir, "before.folded"), filepath.Join(dir, "now.folded")
	for path, text := range map[string]string{before: "main;work 100\nmain;idle 50\n", now: "main;work 150\nmain;idle 20\n"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir, before, now
}

func TestDiffCommand(t *testing.T) {
	dir, before, now := foldedFiles(t)
	for _, c := range []struct {
		args []string
		want int
	}{
		{nil, 0}, {[]string{"--fail-if", "total > +5%"}, exitThreshold}, {[]string{"--fail-if", "total > +20%"}, 0},
		{[]string{"--fail-if", "total > +20%", "--fail-if", "self work > +40"}, exitThreshold}, {[]string{"--fail-if", "/id/ < -50%"}, exitThreshold},
		{[]string{"--fail-if", "nosuch > +1"}, 0}, {[]string{"--normalize", "total", "--fail-if", "total > +1%"}, 0},
		{[]string{"--fail-if", "total > 5%"}, exitUsage}, {[]string{"--fail-if", "total > +5ms"}, exitUsage}, {[]string{"--normalize", "time"}, exitUsage},
		{[]string{"--normalize", "x"}, exitUsage}, {[]string{"--rows", "-1"}, exitUsage}, {[]string{"--format", "firefox"}, exitUsage},
		{[]string{"-o", filepath.Join(dir, "x.speedscope.json")}, exitUsage}, {[]string{"-o", filepath.Join(dir, "x.xyz")}, exitUsage},
		{[]string{"-o", filepath.Join(dir, "none", "x.svg")}, exitFailed}, {[]string{"--value", "nope"}, exitFailed},
	} {
		out := filepath.Join(dir, "out.txt")
		args := append([]string{before, now, "-o", out}, c.args...)
		if got := runCommand(t, newDiffCmd(), args...); got != c.want {
			t.Errorf("diff %q: exit %d, want %d", c.args, got, c.want)
		}
	}
	for extension, want := range map[string]string{
		".txt": "150     +50  +50.0%", ".svg": "<svg", ".html": "ebpfprof-data", ".json": `"before_self":100`, ".folded": "main;work 100 150", ".pb.gz": "\x1f\x8b",
	} {
		out := filepath.Join(dir, "x"+extension)
		if got := runCommand(t, newDiffCmd(), before, now, "-o", out); got != 0 {
			t.Errorf("%s: exit %d", extension, got)
		}
		if data, err := os.ReadFile(out); err != nil || !bytes.Contains(data, []byte(want)) {
			t.Errorf("%s lacks %q: %v", extension, want, err)
		}
	}
	if got := runCommand(t, newDiffCmd(), before, filepath.Join(dir, "none")); got != exitFailed {
		t.Errorf("a profile that is not there: exit %d", got)
	}
}

func TestConvertToHTML(t *testing.T) {
	dir, before, now := foldedFiles(t)
	alone, both := filepath.Join(dir, "alone.html"), filepath.Join(dir, "both.html")
	if got := runCommand(t, newConvertCmd(), now, alone); got != 0 {
		t.Errorf("exit %d", got)
	}
	if got := runCommand(t, newConvertCmd(), "--base", before, now, both); got != 0 {
		t.Errorf("with a base: exit %d", got)
	}
	for _, path := range []string{alone, both} {
		if data, err := os.ReadFile(path); err != nil || !strings.Contains(string(data), "<title>now.folded</title>") {
			t.Errorf("%s has not the title: %v", path, err)
		}
	}
	if got := runCommand(t, newConvertCmd(), "--base", before, now, filepath.Join(dir, "x.txt")); got != exitUsage {
		t.Errorf("a base where none is shown: exit %d", got)
	}
}

func TestViewPage(t *testing.T) {
	_, before, now := foldedFiles(t)
	page, err := (&viewFlags{base: before}).page(now)
	if err != nil || !bytes.Contains(page, []byte(`id="ebpfprof-data"`)) {
		t.Errorf("page: %v", err)
	}
	for address, ok := range map[string]bool{
		"127.0.0.1:0": true, "localhost:80": true, "[::1]:0": true, ":8000": false, "0.0.0.0:1": false, "10.0.0.1:1": false, "example.org:1": false, "127.0.0.1": false,
	} {
		if err := checkLoopback(address); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
}

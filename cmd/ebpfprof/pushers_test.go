package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/ebpfprof/ebpfprof/pkg/config"
)

// A target that cannot be opened takes no other with it.
func TestPushersKeepTheOthers(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c := config.Default().Push
	c.Pyroscope.URL, c.Pyroscope.Spool.Dir = "http://127.0.0.1:1", file // a file is no directory
	c.OTLP.URL, c.OTLP.Spool.Dir = "http://127.0.0.1:1", filepath.Join(dir, "otlp")
	p := pushers{log: slog.New(slog.DiscardHandler)}
	defer p.close(context.Background())
	if err := p.configure(c); err == nil {
		t.Error("a spool that is a file was taken")
	}
	if got := p.status(); len(got) != 1 || got[0].Target != "otlp" {
		t.Errorf("in force are %+v, want otlp", got)
	}
	c.Pyroscope.Spool.Dir = filepath.Join(dir, "pyroscope")
	if err := p.configure(c); err != nil || len(p.status()) != 2 {
		t.Errorf("after it was mended: %+v, %v", p.status(), err)
	}
}

package main

import (
	"log/slog"
	"os"

	"golang.org/x/term"

	"github.com/ebpfprof/ebpfprof/pkg/config"
)

// newLogger writes to stderr: JSON, or text, without times where the journal adds its own.
func newLogger(c config.Log) (*slog.Logger, *slog.LevelVar) {
	level := &slog.LevelVar{}
	setLevel(level, c.Level)
	options := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, options)), level
	}
	if os.Getenv("JOURNAL_STREAM") != "" && !term.IsTerminal(int(os.Stderr.Fd())) {
		options.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}
	}
	return slog.New(slog.NewTextHandler(os.Stderr, options)), level
}

// setLevel takes a name that config has checked.
func setLevel(level *slog.LevelVar, name string) {
	var l slog.Level
	if l.UnmarshalText([]byte(name)) == nil {
		level.Set(l)
	}
}

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	pprof "github.com/google/pprof/profile"
	"golang.org/x/term"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
	"github.com/ebpfprof/ebpfprof/pkg/render"
	"github.com/ebpfprof/ebpfprof/web"
)

// An output is one file of a recording, or the standard output.
type output struct {
	path    string // "-" is the standard output
	format  render.F
	event   int // number of the one event in it, or allEvents
	written bool
}

// allEvents is the event of an output that has all of them.
const allEvents = -1

// eventVerb in an output's name stands for the name of an event, and makes a file for each.
const eventVerb = "%e"

func formatNames() string {
	var names []string
	for _, f := range render.Formats() {
		names = append(names, f.Name)
	}
	return strings.Join(names, ", ")
}

// showsSeveral reports whether a format holds all sample types of a profile.
func showsSeveral(f render.F) bool {
	switch f.Name {
	case "pprof", "speedscope", "stacks", "html":
		return true
	}
	return false
}

// planOutputs finds the format of each path. label names the default file; events are in the order of output.event.
func planOutputs(paths []string, format, label string, events []string) ([]*output, error) {
	if len(paths) == 0 {
		paths = []string{defaultName(label, time.Now())}
	}
	var out []*output
	for _, p := range paths {
		var f render.F
		var err error
		switch {
		case format != "":
			f, err = render.FormatByName(format)
		case p == "-":
			f, err = render.FormatByName("pprof")
		default:
			f, err = render.Format(p)
		}
		if err != nil {
			return nil, &exitError{exitUsage, err}
		}
		if len(events) > 0 && strings.Contains(p, eventVerb) {
			for i, e := range events {
				out = append(out, &output{path: strings.ReplaceAll(p, eventVerb, fileName(e)), format: f, event: i})
			}
			continue
		}
		if len(events) > 1 && slices.Contains(events, heapEvent) {
			return nil, usageError("-o %s: %s is a profile of its own; write %s in the name for a file of each event", p, heapEvent, eventVerb)
		}
		if len(events) > 1 && !showsSeveral(f) {
			return nil, usageError("-o %s: %s shows one event; write %s in the name for a file of each", p, f.Name, eventVerb)
		}
		out = append(out, &output{path: p, format: f, event: allEvents})
	}
	return out, nil
}

func defaultName(label string, now time.Time) string {
	return fmt.Sprintf("ebpfprof-%s-%s.pb.gz", fileName(filepath.Base(label)), now.Format("20060102-150405"))
}

// fileName is s as part of a file's name.
func fileName(s string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_' {
			return c
		}
		return '_'
	}, s)
}

// check finds out before the recording what would fail after it.
func (o *output) check() error {
	if o.path == "-" {
		if o.format.Binary && term.IsTerminal(int(os.Stdout.Fd())) {
			return usageError("will not write %s to a terminal: use -o FILE, a pipe, or --format folded", o.format.Name)
		}
		return nil
	}
	info, err := os.Stat(filepath.Dir(o.path))
	if err != nil {
		return &exitError{exitFailed, fmt.Errorf("write %s: %w", o.path, err)}
	}
	if !info.IsDir() {
		return &exitError{exitFailed, fmt.Errorf("write %s: %s is no directory", o.path, filepath.Dir(o.path))}
	}
	if info, err := os.Stat(o.path); err == nil && info.IsDir() {
		return &exitError{exitFailed, fmt.Errorf("write %s: is a directory", o.path)}
	}
	return nil
}

// write writes p. times are when its samples were taken; nil: not known.
func (o *output) write(p *pprof.Profile, times *profile.Times, owner *account) error {
	opts := render.Options{Times: times, Page: web.SingleFile}
	if o.showsTimes() {
		opts.Title = o.title()
	}
	err := writeFile(o.path, owner, func(w io.Writer) error { return render.Write(w, o.format, p, opts) })
	o.written = err == nil
	return err
}

// showsTimes tells whether the format has a place for when samples were taken.
func (o *output) showsTimes() bool { return o.format.Name == "html" || o.format.Name == "stacks" }

// title names what the page shows.
func (o *output) title() string {
	if o.path == "-" {
		return ""
	}
	return filepath.Base(o.path)
}

// hint is what to do with the file.
func (o *output) hint() string {
	switch o.format.Name {
	case "pprof":
		return "; see it with: go tool pprof -http=: " + o.path
	case "svg", "html":
		return "; open it in a browser"
	}
	return ""
}

// writeFile writes a file whole or not at all: a regular file appears under its name when everything is in it.
// What is no regular file, such as a pipe or /dev/null, is written as it is. "-" is the standard output.
func writeFile(path string, owner *account, write func(io.Writer) error) (err error) {
	if path == "-" {
		return write(os.Stdout)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		return write(f)
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		f.Close()
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if owner != nil {
		if err := f.Chown(int(owner.uid), int(owner.gid)); err != nil {
			return err
		}
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/ebpfprof/ebpfprof/pkg/proc"
	"github.com/ebpfprof/ebpfprof/pkg/unwind"
)

// unwindReport says how well the code of one object can be unwound.
type unwindReport struct {
	Object      string            `json:"object"`
	Error       string            `json:"error,omitempty"`
	Rows        int               `json:"rows"`
	Rules       int               `json:"rules"`
	TextBytes   uint64            `json:"text_bytes"`
	Covered     uint64            `json:"covered_bytes"`
	Undescribed uint64            `json:"undescribed_bytes"` // no source says anything about them
	Sources     map[string]uint64 `json:"sources"`           // bytes with a rule from each
	Gaps        map[string]uint64 `json:"gaps"`              // bytes that are described, by why they have no rule
}

// doctorUnwind reports on an object file, or on every object that a process runs code from.
func doctorUnwind(w io.Writer, target string, asJSON bool) error {
	reports, err := unwindReports(target)
	if err != nil {
		return &exitError{exitFailed, err}
	}
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(reports)
	}
	for _, r := range reports {
		r.writeText(w)
	}
	return nil
}

func unwindReports(target string) ([]unwindReport, error) {
	pid, err := strconv.Atoi(target)
	if err != nil {
		f, err := os.Open(target)
		if err != nil {
			return nil, fmt.Errorf("doctor --unwind: %w", err)
		}
		defer f.Close()
		return []unwindReport{unwindReportOf(target, f)}, nil
	}
	objects, err := proc.FS{}.Executables(pid)
	if err != nil {
		return nil, fmt.Errorf("doctor --unwind: %w", err)
	}
	if len(objects) == 0 {
		return nil, fmt.Errorf("doctor --unwind: process %d shows no files that it runs code from: a kernel thread, or not ours to see (try sudo)", pid)
	}
	var reports []unwindReport
	for _, o := range objects {
		f, name, err := proc.FS{}.OpenObject(o.ID, o.Hint)
		if err != nil {
			reports = append(reports, unwindReport{Object: o.Hint.Path, Error: err.Error()})
			continue
		}
		reports = append(reports, unwindReportOf(name, f))
		f.Close()
	}
	return reports, nil
}

func unwindReportOf(name string, f *os.File) unwindReport {
	r := unwindReport{Object: name, Sources: map[string]uint64{}, Gaps: map[string]uint64{}}
	info, err := f.Stat()
	if err != nil {
		r.Error = err.Error()
		return r
	}
	t, err := unwind.Compile(f, info.Size(), unwind.Options{})
	if err != nil {
		r.Error = err.Error()
		return r
	}
	r.Rows, r.Rules = t.Len(), len(t.Rules)
	r.TextBytes, r.Covered, r.Undescribed = t.Stats.TextBytes, t.Stats.CoveredBytes, t.Stats.Undescribed()
	for i, s := range t.Stats.Sources {
		if s.Bytes > 0 {
			r.Sources[unwind.Source(i).String()] = s.Bytes
		}
		for g, n := range s.Gaps {
			if n > 0 {
				r.Gaps[unwind.Gap(g).String()] += n
			}
		}
	}
	return r
}

func (r unwindReport) writeText(w io.Writer) {
	if r.Error != "" {
		fmt.Fprintf(w, "%s\n  cannot be unwound by rules: %s\n", r.Object, r.Error)
		return
	}
	fmt.Fprintf(w, "%s\n  %.2f%% of %d bytes of code have a rule; %d rows, %d rules, %d KiB of kernel memory\n",
		r.Object, percent(r.Covered, r.TextBytes), r.TextBytes, r.Rows, r.Rules, (r.Rows*6+r.Rules*8)>>10)
	for _, s := range sortedNames(r.Sources) {
		fmt.Fprintf(w, "  %6.2f%% from %s\n", percent(r.Sources[s], r.TextBytes), s)
	}
	for _, g := range sortedNames(r.Gaps) {
		fmt.Fprintf(w, "  %6.2f%% without: %s\n", percent(r.Gaps[g], r.TextBytes), g)
	}
	if r.Undescribed > 0 {
		fmt.Fprintf(w, "  %6.2f%% without: nothing describes them (frame pointers are tried)\n", percent(r.Undescribed, r.TextBytes))
	}
}

func sortedNames(m map[string]uint64) []string {
	var names []string
	for n := range m {
		names = append(names, n)
	}
	return sorted(names)
}

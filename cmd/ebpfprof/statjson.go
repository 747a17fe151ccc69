package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/ebpfprof/ebpfprof/pkg/loader/perfevent"
)

// errNotOnPMU is why an event that can be counted was not.
const errNotOnPMU = "was never on the PMU: other events had all of its counters; count fewer at once"

// A statReport is what `stat --json` prints. Fields are only ever added.
type statReport struct {
	DurationSeconds float64              `json:"duration_seconds"`
	StartSeconds    *float64             `json:"start_seconds,omitempty"` // with --interval: where the slice begins
	Command         []string             `json:"command,omitempty"`
	Runs            int                  `json:"runs,omitempty"`                    // with --repeat; figures are means of them
	DurationError   *float64             `json:"duration_standard_error,omitempty"` // of the mean
	Events          map[string]statEvent `json:"events"`
	Derived         map[string]float64   `json:"derived,omitempty"`
	Rows            []statRow            `json:"rows,omitempty"` // with --per; they add up to events
}

// A statEvent has a value, or an error that says why it has none.
type statEvent struct {
	Value         *int64   `json:"value,omitempty"`
	Unit          string   `json:"unit,omitempty"`           // "nanoseconds"; absent for what is counted
	RunningRatio  *float64 `json:"running_ratio,omitempty"`  // part of the time for which it was counted; value is scaled to all of it
	StandardError *float64 `json:"standard_error,omitempty"` // with --repeat: of the mean, in the unit of value
	Error         string   `json:"error,omitempty"`
}

type statRow struct {
	Name    string               `json:"name"`
	PID     int                  `json:"pid,omitempty"`
	TID     int                  `json:"tid,omitempty"`
	Events  map[string]statEvent `json:"events"`
	Derived map[string]float64   `json:"derived,omitempty"`
}

// print writes counts, of all the time or a slice of it.
func (c *counting) print(w io.Writer, t *countTable) error {
	var err error
	if c.json {
		err = c.printJSON(w, t)
	} else {
		err = c.printText(w, t)
	}
	if err != nil {
		return &exitError{exitFailed, fmt.Errorf("write counts: %w", err)}
	}
	return nil
}

func (c *counting) printJSON(w io.Writer, t *countTable) error {
	r := statReport{DurationSeconds: (t.elapsed - t.from).Seconds(), Command: c.command, Events: c.report(t.total)}
	r.Derived = derived(c.byName(t.total), (t.elapsed - t.from).Seconds())
	if p := c.repeated; p != nil {
		r.Runs, r.DurationSeconds, r.DurationError = p.runs, p.seconds.mean, &p.seconds.deviation
	}
	if c.interval > 0 && t != &c.total {
		from := t.from.Seconds()
		r.StartSeconds = &from
	}
	for _, key := range t.sorted() {
		counts := t.rows[key]
		events := c.report(counts)
		for _, u := range c.cannot {
			delete(events, u.Event) // said once
		}
		r.Rows = append(r.Rows, statRow{key.name, key.pid, key.tid, events, derived(c.byName(counts), 0)})
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	if c.interval == 0 {
		encoder.SetIndent("", "  ")
	}
	return encoder.Encode(r)
}

// report has an entry for each event that was asked for.
func (c *counting) report(counts []perfevent.Count) map[string]statEvent {
	events := map[string]statEvent{}
	for _, u := range c.cannot {
		text := u.Reason
		if u.Instead != "" {
			text += "; use -e " + u.Instead
		}
		events[u.Event] = statEvent{Error: text}
	}
	for i, n := range counts {
		e := statEvent{Error: errNotOnPMU}
		if v, ok := n.Scaled(); ok {
			value, ratio := int64(math.Round(v)), n.Ratio()
			e = statEvent{Value: &value, RunningRatio: &ratio}
			if c.events[i].Clock() {
				e.Unit = "nanoseconds"
			}
			if s, ok := c.repeated.event(c.events[i].Name); ok {
				value, e.StandardError = int64(math.Round(s.mean)), &s.deviation
			}
		}
		events[c.events[i].Name] = e
	}
	return events
}

// byName maps the names of events to their counts.
func (c *counting) byName(counts []perfevent.Count) map[string]perfevent.Count {
	m := map[string]perfevent.Count{}
	for i, n := range counts {
		m[c.events[i].Name] = n
	}
	return m
}

// derived are the ratios that counts allow. What cannot be had is absent. seconds is how long was counted, 0 if that
// does not matter.
func derived(counts map[string]perfevent.Count, seconds float64) map[string]float64 {
	d := map[string]float64{}
	for name, n := range counts {
		base, ok := counts[perfevent.Base(name)]
		if !ok {
			continue
		}
		if q, ok := perfevent.Quotient(n, base); ok {
			d[ratioName(name)] = q
		}
	}
	misses, ok1 := counts["cache-misses"]
	instructions, ok2 := counts["instructions"]
	if q, ok := perfevent.Quotient(misses, instructions); ok && ok1 && ok2 {
		d["cache_misses_per_kilo_instruction"] = 1000 * q
	}
	if clock, ok := counts["task-clock"]; ok && seconds > 0 {
		d["cpus_utilized"] = float64(clock.Value) / 1e9 / seconds
	}
	return d
}

// ratioName names the quotient of an event and its base, as the daemon's metrics do.
func ratioName(event string) string {
	if event == "instructions" {
		return "instructions_per_cycle"
	}
	name := strings.TrimSuffix(strings.ToLower(strings.ReplaceAll(event, "-", "_")), "es") // misses: a miss ratio
	return name + "_ratio"
}

// sorted are the rows, those with most of the first event first.
func (t *countTable) sorted() []countKey {
	return slices.SortedFunc(maps.Keys(t.rows), func(a, b countKey) int {
		for i := range t.rows[a] {
			if c := cmp.Compare(t.rows[b][i].Value, t.rows[a][i].Value); c != 0 {
				return c
			}
		}
		return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(a.pid, b.pid), cmp.Compare(a.tid, b.tid))
	})
}

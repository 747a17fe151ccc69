package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"

	"github.com/ebpfprof/ebpfprof/pkg/loader/perfevent"
)

// shownRows are the rows that the text has of a table; the others are summed.
const shownRows = 60

func (c *counting) printText(w io.Writer, t *countTable) error {
	var b bytes.Buffer
	seconds := (t.elapsed - t.from).Seconds()
	if len(t.total) > 0 {
		fmt.Fprintf(&b, "\n %s, %s\n\n", c.title(), c.span(t))
	}
	counts := c.byName(t.total)
	for i, e := range c.asked {
		if u := c.cannot[i]; u != nil {
			fmt.Fprintf(&b, " %18s      %s\n", "<not supported>", e.Name)
			continue
		}
		line := c.line(e, counts, seconds)
		if len(t.total) > 0 {
			b.WriteString(line + "\n")
		}
	}
	if len(t.rows) > 0 {
		b.WriteByte('\n')
		c.printRows(&b, t)
	}
	if t.full > 0 {
		fmt.Fprintf(&b, "\n There were more processes at once than rows: %d slices of their time are in the row %s.\n", t.full, otherRow)
	}
	if len(c.cannot) > 0 && t == &c.total && !c.named { // else it is the last word on stderr
		fmt.Fprintf(&b, "\n Not supported: %s\n", c.reasons())
	}
	b.WriteByte('\n')
	_, err := w.Write(b.Bytes())
	return err
}

func (c *counting) title() string {
	t := c.targets
	switch {
	case len(t.PIDs) > 0:
		return fmt.Sprintf("Counts of process %s", strings.Trim(fmt.Sprint(t.PIDs), "[]"))
	case t.Comm != nil:
		return fmt.Sprintf("Counts of processes called %s", t.Comm)
	case t.Cgroup != "":
		return "Counts of control group " + t.Cgroup
	case t.Container != "":
		return "Counts of container " + t.Container
	case t.Unit != "":
		return "Counts of unit " + t.Unit
	case t.Child:
		return fmt.Sprintf("Counts of '%s'", strings.Join(c.command, " "))
	}
	return "Counts of the whole machine"
}

func (c *counting) span(t *countTable) string {
	if c.interval > 0 && t != &c.total {
		return fmt.Sprintf("from %.3f to %.3f s", t.from.Seconds(), t.elapsed.Seconds())
	}
	if r := c.repeated; r != nil {
		return fmt.Sprintf("%d runs of %.6f s ( +-%.2f%% ), means", r.runs, r.seconds.mean, r.seconds.percent())
	}
	return fmt.Sprintf("%.6f s", t.elapsed.Seconds())
}

// line is one event as perf prints it: the value, what it means, and the part of the time for which it was counted.
func (c *counting) line(e perfevent.Event, counts map[string]perfevent.Count, seconds float64) string {
	n := counts[e.Name]
	value, ok := n.Scaled()
	if !ok {
		return fmt.Sprintf(" %18s      %-24s # %s", "<not counted>", e.Name, errNotOnPMU)
	}
	spread, repeated := c.repeated.event(e.Name)
	if repeated {
		value = spread.mean
	}
	unit, text := "", thousands(value)
	if e.Clock() {
		unit, text = "msec", fmt.Sprintf("%.2f", value/1e6)
	}
	line := fmt.Sprintf(" %18s %-4s %-24s # %s", text, unit, e.Name, comment(e, counts, seconds))
	if repeated {
		line = fmt.Sprintf("%-80s ( +-%.2f%% )", line, spread.percent())
	}
	if n.Ratio() < 1 {
		line = fmt.Sprintf("%-80s (%.2f%%)", line, 100*n.Ratio())
	}
	return strings.TrimRight(line, " #")
}

// comment says what a count means.
func comment(e perfevent.Event, counts map[string]perfevent.Count, seconds float64) string {
	n := counts[e.Name]
	if base, ok := counts[perfevent.Base(e.Name)]; ok {
		if q, ok := perfevent.Quotient(n, base); ok {
			if e.Name == "instructions" {
				return fmt.Sprintf("%9.2f  insn per cycle", q)
			}
			return fmt.Sprintf("%9.2f%% of all %s", 100*q, allOf(perfevent.Base(e.Name)))
		}
	}
	value, _ := n.Scaled()
	switch {
	case seconds <= 0:
		return ""
	case e.Name == "task-clock":
		return fmt.Sprintf("%9.3f  CPUs utilized", value/1e9/seconds)
	case e.Clock():
		return ""
	}
	return perSecond(value / seconds)
}

// allOf is the base of a ratio in perf's words.
func allOf(base string) string {
	switch base {
	case "cache-references":
		return "cache refs"
	case "branches":
		return "branches"
	}
	return base
}

func perSecond(v float64) string {
	unit := ""
	for _, u := range []string{"K", "M", "G"} {
		if v < 1000 {
			break
		}
		v, unit = v/1000, u
	}
	return fmt.Sprintf("%9.3f %s/sec", v, unit)
}

// thousands groups the digits of a whole number by commas.
func thousands(v float64) string {
	s := fmt.Sprintf("%.0f", math.Round(v))
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// printRows writes a column for each event.
func (c *counting) printRows(w io.Writer, t *countTable) {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	for _, e := range c.events {
		fmt.Fprintf(tw, "%s\t", e.Name)
	}
	fmt.Fprintf(tw, " \n")
	put := func(name string, counts []perfevent.Count) {
		for i, n := range counts {
			text := "-"
			if v, ok := n.Scaled(); ok && c.events[i].Clock() {
				text = fmt.Sprintf("%.2f ms", v/1e6)
			} else if ok {
				text = thousands(v)
			}
			fmt.Fprintf(tw, "%s\t", text)
		}
		fmt.Fprintf(tw, " %s\n", name)
	}
	var rest []perfevent.Count
	hidden := 0
	for i, key := range t.sorted() {
		if i >= shownRows {
			rest = addCounts(rest, t.rows[key])
			hidden++
			continue
		}
		put(key.label(), t.rows[key])
	}
	if hidden > 0 {
		put(fmt.Sprintf("(%d more)", hidden), rest)
	}
	tw.Flush()
}

func (k countKey) label() string {
	switch {
	case k.tid != 0:
		return fmt.Sprintf("%s %d/%d", printableName(k.name), k.pid, k.tid)
	case k.pid != 0:
		return fmt.Sprintf("%s %d", printableName(k.name), k.pid)
	}
	return printableName(k.name)
}

// printableName keeps a name that a process chose from being read as commands of a terminal.
func printableName(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

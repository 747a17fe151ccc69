package render

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/pprof/profile"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

const defaultRows = 500

// writeTop writes a table of functions, those with the most self value first. All
// values of a column have the unit of its heading.
func writeTop(w io.Writer, p *profile.Profile, o Options) error {
	value := valueIndex(p, o)
	sum := prof.Summarize(p, value)
	table := prof.NewTopTable(p, value)
	title := o.Title
	if title == "" {
		title = valueTitle(sum.Type)
	}
	bw := bufio.NewWriter(w)
	total := quantity(sum.Total, sum.Type.Unit)
	fmt.Fprintf(bw, "%s: %s\n", clean(title), total)
	for _, fact := range facts(sum) {
		fmt.Fprintf(bw, "  %s\n", fact)
	}
	for _, c := range sum.Comments {
		fmt.Fprintf(bw, "  %s\n", clean(c))
	}
	fmt.Fprintf(bw, "Percentages are of %s. Self is spent in the function itself, total also in what it calls.\n\n", total)

	rows := table.Rows
	switch limit := o.Rows; {
	case limit == 0:
		rows = rows[:min(len(rows), defaultRows)]
	case limit > 0:
		rows = rows[:min(len(rows), limit)]
	}
	writeRows(bw, rows, sum)
	if rest := table.Rows[len(rows):]; len(rest) > 0 {
		var self int64
		for _, r := range rest {
			self += r.Self
		}
		fmt.Fprintf(bw, "and %s more functions, together self %s (%s of %s)\n",
			grouped(int64(len(rest))), quantity(self, sum.Type.Unit), percent(self, sum.Total), total)
	}
	return bw.Flush()
}

func writeRows(w io.Writer, rows []prof.TopRow, sum prof.Summary) {
	unit := scaleFor(sum.Total, sum.Type.Unit)
	number := func(v int64) string {
		if unit.size == 1 {
			return grouped(v)
		}
		return strconv.FormatFloat(float64(v)/unit.size, 'f', 3, 64)
	}
	heading := func(name string) string {
		if unit.unit == "" {
			return name
		}
		return name + " " + unit.unit
	}
	module := len("module")
	width := max(len(number(sum.Total)), utf8.RuneCountInString(heading("total")))
	for _, r := range rows {
		module = max(module, min(utf8.RuneCountInString(moduleOf(r)), 32))
	}
	fmt.Fprintf(w, "%*s %7s  %*s %7s  %-*s  %s\n", width, heading("self"), "self%", width, heading("total"), "total%", module, "module", "function")
	for _, r := range rows {
		fmt.Fprintf(w, "%*s %7s  %*s %7s  %-*s  %s\n",
			width, number(r.Self), percent(r.Self, sum.Total), width, number(r.Total), percent(r.Total, sum.Total),
			module, moduleOf(r), strings.TrimSpace(clean(r.Name)))
	}
}

func moduleOf(r prof.TopRow) string {
	if r.Module == "" {
		return "-"
	}
	return clean(r.Module)
}

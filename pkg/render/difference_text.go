package render

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

// A changeRow is what one function cost before and now.
type changeRow struct {
	prof.Func
	self, total, beforeSelf, beforeTotal int64
}

func (r changeRow) changes() (self, total int64) {
	return r.self - r.beforeSelf, r.total - r.beforeTotal
}

// rows returns the functions of both profiles, those whose self value changed most first.
func (d *Difference) rows() []changeRow {
	type key struct{ name, module string }
	var rows []changeRow
	index := map[key]int{}
	row := func(f prof.Func) *changeRow {
		k := key{f.Name, f.Module}
		i, ok := index[k]
		if !ok {
			i = len(rows)
			index[k] = i
			rows = append(rows, changeRow{Func: f})
		}
		return &rows[i]
	}
	for _, r := range prof.NewTopTable(d.Now, d.index).Rows {
		x := row(r.Func)
		x.self, x.total = r.Self, r.Total
	}
	for _, r := range prof.NewTopTable(d.Before, d.beforeIndex).Rows {
		x := row(r.Func)
		x.beforeSelf, x.beforeTotal = d.scaled(r.Self), d.scaled(r.Total)
	}
	slices.SortFunc(rows, func(a, b changeRow) int {
		as, at := a.changes()
		bs, bt := b.changes()
		return cmp.Or(cmp.Compare(abs(bs), abs(as)), cmp.Compare(abs(bt), abs(at)),
			strings.Compare(a.Name, b.Name), strings.Compare(a.Module, b.Module))
	})
	return rows
}

// change writes how much more or less now is than before, such as "+12.5%".
func change(before, now int64) string {
	switch {
	case before == now:
		return "0%"
	case before == 0:
		return "new"
	case now == 0:
		return "gone"
	}
	return signed(now-before, percent(now-before, before))
}

// signed puts a plus before text where v is positive.
func signed(v int64, text string) string {
	if v > 0 {
		return "+" + text
	}
	return text
}

// writeText writes a table of the functions that changed.
func (d *Difference) writeText(w io.Writer, o Options) error {
	before, now := d.Sums(nil, false)
	unit := d.type_.Unit
	bw := bufio.NewWriter(w)
	fmt.Fprintf(bw, "%s: %s\n", cmp.Or(clean(o.Title), valueTitle(d.type_)), Change(before, now, unit))
	fmt.Fprintf(bw, "  before: %s\n", strings.Join(facts(prof.Summarize(d.Before, d.beforeIndex)), ", "))
	fmt.Fprintf(bw, "  now: %s\n", strings.Join(facts(prof.Summarize(d.Now, d.index)), ", "))
	if d.Scale != 1 {
		fmt.Fprintf(bw, "  values before are multiplied with %.6g\n", d.Scale)
	}
	fmt.Fprintf(bw, "Self is spent in the function itself, total also in what it calls; percentages are of the same function before.\n\n")
	rows, limit := d.rows(), cmp.Or(o.Rows, defaultRows)
	changed := 0
	for _, r := range rows {
		if self, total := r.changes(); self != 0 || total != 0 {
			changed++
		}
	}
	shown := rows
	if limit > 0 {
		shown = rows[:min(limit, len(rows))]
	}
	table := [][]string{{"self", "change", "", "total", "change", "", "function"}}
	for _, r := range shown {
		self, total := r.changes()
		if self == 0 && total == 0 {
			continue
		}
		name := strings.TrimSpace(clean(r.Name))
		if r.Module != "" {
			name += "  " + clean(r.Module)
		}
		table = append(table, []string{
			quantity(r.self, unit), signed(self, quantity(self, unit)), change(r.beforeSelf, r.self),
			quantity(r.total, unit), signed(total, quantity(total, unit)), change(r.beforeTotal, r.total), name,
		})
	}
	writeTable(bw, table)
	if rest := changed - (len(table) - 1); rest > 0 {
		fmt.Fprintf(bw, "and %s more functions that changed\n", grouped(int64(rest)))
	}
	fmt.Fprintf(bw, "%s functions did not change\n", grouped(int64(len(rows)-changed)))
	return bw.Flush()
}

// writeTable aligns all columns to the right but the last.
func writeTable(w io.Writer, table [][]string) {
	widths := make([]int, len(table[0]))
	for _, row := range table {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range table {
		for i, cell := range row[:len(row)-1] {
			fmt.Fprintf(w, "%*s  ", widths[i], cell)
		}
		fmt.Fprintf(w, "%s\n", row[len(row)-1])
	}
}

// Change says for people how a value changed.
func Change(before, now int64, unit string) string {
	return fmt.Sprintf("%s before, %s now: %s, %s", quantity(before, unit), quantity(now, unit),
		signed(now-before, quantity(now-before, unit)), change(before, now))
}

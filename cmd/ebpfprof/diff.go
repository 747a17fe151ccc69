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
	"github.com/spf13/cobra"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
	"github.com/ebpfprof/ebpfprof/pkg/render"
	"github.com/ebpfprof/ebpfprof/web"
)

// diffFlags is what the user asked for, as given.
type diffFlags struct {
	output, format, value, normalize string
	failIf                           []string
	rows                             int
}

func newDiffCmd() *cobra.Command {
	var f diffFlags
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Show what changed from profile A to profile B, and fail if it is too much",
		Long: `Show what changed from profile A to profile B: a table on the standard output, or -o FILE, whose extension decides the
format: .txt, .svg, .html, .folded (stack, A, B), .pb.gz (B less A), .json.

--fail-if ends with exit code 3 if it holds. It is WHAT OP AMOUNT, repeatable:
  WHAT     total, or the name of a function: what stacks with it have; /REGEXP/ for any of several; "self NAME": without
           what it calls
  OP       > >= < <=
  AMOUNT   the change, with a sign as in +5% or -10ms; or without, what B has: 2s, 100MiB, 1000`,
		Example: `  ebpfprof diff before.pb.gz after.pb.gz
  ebpfprof diff before.pb.gz after.pb.gz -o change.html
  ebpfprof diff before.pb.gz after.pb.gz --fail-if 'total > +5%' --fail-if 'self /^json\./ > +20ms'`,
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error { return f.run(args[0], args[1]) },
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.StringVarP(&f.output, "output", "o", "-", "`FILE` to write; -: the standard output")
	fl.StringVar(&f.format, "format", "", "format of the output, whatever its extension: "+strings.Join(render.DifferenceFormats(), ", "))
	fl.StringArrayVar(&f.failIf, "fail-if", nil, "exit with 3 if `EXPR` holds, such as 'total > +5%'")
	fl.StringVar(&f.normalize, "normalize", "none", "scale A to B: none, time (the same duration), total (the same total)")
	fl.StringVar(&f.value, "value", "", "sample `TYPE` to compare (default B's own)")
	fl.IntVar(&f.rows, "rows", 40, "functions in the table; 0: all")
	return cmd
}

func (f *diffFlags) run(before, now string) error {
	format, err := f.outputFormat()
	if err != nil {
		return err
	}
	if f.rows < 0 {
		return usageError("--rows %d: want 0 or more", f.rows)
	}
	if before == "-" && now == "-" {
		return usageError("the standard input can be one of the profiles only")
	}
	var limits []limit
	for _, s := range f.failIf {
		l, err := parseLimit(s)
		if err != nil {
			return err
		}
		limits = append(limits, l)
	}
	d, err := f.compare(before, now)
	if err != nil {
		return err
	}
	for i := range limits {
		if err := limits[i].fits(d.Type().Unit); err != nil {
			return err
		}
	}
	out := &output{path: f.output, format: render.F{Name: format, Binary: format == "pprof"}}
	if err := out.check(); err != nil {
		return err
	}
	o := render.Options{Title: diffTitle(before, now), Rows: f.rows, Page: web.SingleFile}
	if f.rows == 0 {
		o.Rows = -1
	}
	if err := writeFile(f.output, nil, func(w io.Writer) error { return d.Write(w, format, o) }); err != nil {
		return &exitError{exitFailed, err}
	}
	return judge(d, limits)
}

func diffTitle(before, now string) string {
	return filepath.Base(before) + " → " + filepath.Base(now)
}

// outputFormat is that of --format, or of the output's extension.
func (f *diffFlags) outputFormat() (string, error) {
	format := f.format
	switch {
	case format != "":
	case f.output == "-":
		format = render.DifferenceFormats()[0]
	default:
		known, err := render.Format(f.output)
		switch {
		case err == nil:
			format = known.Name
		case strings.HasSuffix(strings.ToLower(f.output), ".json"):
			format = "json" // no format of profiles has this extension alone
		default:
			return "", &exitError{exitUsage, err}
		}
	}
	if !slices.Contains(render.DifferenceFormats(), format) {
		return "", usageError("differences are not written as %s; known are %s", format, strings.Join(render.DifferenceFormats(), ", "))
	}
	return format, nil
}

// compare reads both profiles and scales the first as was asked for.
func (f *diffFlags) compare(before, now string) (*render.Difference, error) {
	a, err := readProfile(before)
	if err != nil {
		return nil, err
	}
	b, err := readProfile(now)
	if err != nil {
		return nil, err
	}
	scale, err := f.scale(a, b)
	if err != nil {
		return nil, err
	}
	d, err := render.NewDifference(a, b, f.value, scale)
	if err != nil {
		return nil, &exitError{exitFailed, err}
	}
	return d, nil
}

func (f *diffFlags) scale(a, b *pprof.Profile) (float64, error) {
	switch f.normalize {
	case "none":
		return 1, nil
	case "time":
		if a.DurationNanos <= 0 || b.DurationNanos <= 0 {
			return 0, usageError("--normalize time: the profiles do not both say how long they are: %s, %s",
				time.Duration(a.DurationNanos), time.Duration(b.DurationNanos))
		}
		return float64(b.DurationNanos) / float64(a.DurationNanos), nil
	case "total":
		var totals [2]float64
		for i, p := range []*pprof.Profile{a, b} {
			value, err := profile.ValueIndex(p, f.value)
			if err != nil {
				return 0, &exitError{exitFailed, err}
			}
			totals[i] = float64(profile.Summarize(p, value).Total)
		}
		if totals[0] <= 0 || totals[1] <= 0 {
			return 0, usageError("--normalize total: a profile has nothing to compare with")
		}
		return totals[1] / totals[0], nil
	}
	return 0, usageError("--normalize %q: want none, time or total", f.normalize)
}

// judge says of every limit whether it held.
func judge(d *render.Difference, limits []limit) error {
	held := 0
	for _, l := range limits {
		before, now := d.Sums(l.match, l.self)
		if l.match != nil && before == 0 && now == 0 {
			fmt.Fprintf(os.Stderr, "warning: --fail-if %s: no stack of either profile has such a function\n", l.text)
		}
		if l.holds(before, now) {
			held++
			fmt.Fprintf(os.Stderr, "failed: %s: %s\n", l.text, render.Change(before, now, d.Type().Unit))
		}
	}
	if held > 0 {
		return &exitError{exitThreshold, nil}
	}
	return nil
}

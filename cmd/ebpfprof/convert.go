package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	pprof "github.com/google/pprof/profile"
	"github.com/spf13/cobra"

	"github.com/ebpfprof/ebpfprof/pkg/render"
	"github.com/ebpfprof/ebpfprof/web"
)

func newConvertCmd() *cobra.Command {
	var format, value, base string
	cmd := &cobra.Command{
		Use:   "convert IN OUT",
		Short: "Convert a profile between formats",
		Long: `Convert a profile between formats. IN is a pprof, folded or speedscope file, of this or another program;
OUT's extension decides its format. Either may be - for the standard input or output.`,
		Example: `  ebpfprof convert profile.pb.gz profile.svg
  ebpfprof convert --base before.pb.gz after.pb.gz comparison.html
  ebpfprof convert --value alloc_space heap.pb.gz heap.svg
  perf script | stackcollapse-perf.pl | ebpfprof convert - profile.speedscope.json`,
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			outs, err := planOutputs(args[1:], format, "", nil)
			if err != nil {
				return err
			}
			out := outs[0]
			if err := out.check(); err != nil {
				return err
			}
			if base != "" && out.format.Name != "html" {
				return usageError("--base %s: only html shows two profiles in one file; for others see 'ebpfprof diff'", base)
			}
			return convert(args[0], base, out, render.Options{Value: value})
		},
	}
	cmd.Flags().StringVar(&format, "format", "", "format of OUT, whatever its extension: "+formatNames())
	cmd.Flags().StringVar(&base, "base", "", "profile in `FILE` to compare with, if OUT is html")
	cmd.Flags().StringVar(&value, "value", "", "sample `TYPE` to show, where a format shows one (default the profile's own)")
	return cmd
}

func convert(in, base string, out *output, o render.Options) error {
	p, err := readProfile(in)
	if err != nil {
		return err
	}
	if base != "" {
		if o.Base, err = readProfile(base); err != nil {
			return err
		}
	}
	if o.Page = web.SingleFile; in != "-" && (out.format.Name == "html" || out.format.Name == "stacks") {
		o.Title = filepath.Base(in)
	}
	if err := writeFile(out.path, nil, func(w io.Writer) error { return render.Write(w, out.format, p, o) }); err != nil {
		return &exitError{exitFailed, err}
	}
	return nil
}

// readProfile reads a profile of any format that package render reads. "-" is the standard input.
func readProfile(path string) (*pprof.Profile, error) {
	var r io.Reader = os.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, &exitError{exitFailed, fmt.Errorf("read profile: %w", err)}
		}
		defer f.Close()
		r = f
	}
	p, err := render.Read(r, path)
	if err != nil {
		return nil, &exitError{exitFailed, err}
	}
	return p, nil
}

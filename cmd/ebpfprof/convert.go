package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/ebpfprof/ebpfprof/pkg/render"
)

func newConvertCmd() *cobra.Command {
	var format, value string
	cmd := &cobra.Command{
		Use:   "convert IN OUT",
		Short: "Convert a profile between formats",
		Long: `Convert a profile between formats. IN is a pprof, folded or speedscope file, of this or another program;
OUT's extension decides its format. Either may be - for the standard input or output.`,
		Example: `  ebpfprof convert profile.pb.gz profile.svg
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
			return convert(args[0], out, render.Options{Value: value})
		},
	}
	cmd.Flags().StringVar(&format, "format", "", "format of OUT, whatever its extension: "+formatNames())
	cmd.Flags().StringVar(&value, "value", "", "sample `TYPE` to show, where a format shows one (default the profile's own)")
	return cmd
}

func convert(in string, out *output, o render.Options) error {
	var r io.Reader = os.Stdin
	if in != "-" {
		f, err := os.Open(in)
		if err != nil {
			return &exitError{exitFailed, fmt.Errorf("read profile: %w", err)}
		}
		defer f.Close()
		r = f
	}
	p, err := render.Read(r, in)
	if err != nil {
		return &exitError{exitFailed, err}
	}
	if err := writeFile(out.path, nil, func(w io.Writer) error { return render.Write(w, out.format, p, o) }); err != nil {
		return &exitError{exitFailed, err}
	}
	return nil
}

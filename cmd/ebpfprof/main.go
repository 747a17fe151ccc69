// Command ebpfprof profiles every process of a Linux machine with eBPF.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// gcPercent trades memory, of which little is used, for CPU time, of which a profiler should use none.
const gcPercent = 200

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	root := newRootCmd()
	err := root.Execute()
	if err == nil {
		return
	}
	code := exitUsage // cobra's own errors: unknown command, flag or argument
	var exit *exitError
	if errors.As(err, &exit) {
		code = exit.code
	}
	if exit == nil || exit.err != nil {
		fmt.Fprintln(os.Stderr, "ebpfprof:", err)
	}
	if code == exitUsage {
		fmt.Fprintln(os.Stderr, "Try 'ebpfprof --help', or 'ebpfprof COMMAND --help'.")
	}
	os.Exit(code)
}

func newRootCmd() *cobra.Command {
	root := &cobra.Command{
		Use:   "ebpfprof COMMAND [flags] [-- CMD ARGS...]",
		Short: "Profile every process of this machine, in any language, without touching it",
		Long: `Profile every process of this machine, in any language, without touching it.

  sudo ebpfprof record -a -d 10s -o profile.svg     the whole machine for 10 s
  sudo ebpfprof record -p 1234 -o profile.pb.gz     one process and its children
  sudo ebpfprof record -o profile.svg -- make -j8   a command, for as long as it runs
  ebpfprof view profile.pb.gz                       flame graph, table and more in the browser
  ebpfprof diff before.pb.gz after.pb.gz            what changed
  ebpfprof convert profile.pb.gz profile.speedscope.json
  ebpfprof doctor                                   what works on this machine`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = false
	root.AddCommand(newRecordCmd(), newDaemonCmd(), newStatCmd(), newConvertCmd(), newViewCmd(), newDiffCmd(), newDoctorCmd(), newCheckConfigCmd(), newVersionCmd())
	return root
}

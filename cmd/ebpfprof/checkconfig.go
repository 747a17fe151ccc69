package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ebpfprof/ebpfprof/pkg/config"
)

func newCheckConfigCmd() *cobra.Command {
	var print bool
	cmd := &cobra.Command{
		Use:   "check-config FILE",
		Short: "Say what is wrong with a configuration file, and change nothing",
		Long: `Read a configuration file as the daemon would, with the EBPFPROF_ variables of this environment over it, and list
all that is wrong, with lines. It exits with 0 if nothing is, and with 1 otherwise.`,
		Example: `  ebpfprof check-config /etc/ebpfprof/ebpfprof.yaml
  ebpfprof check-config --print ebpfprof.yaml      what is in force, defaults included`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := loadConfig(args[0], nil)
			if err != nil {
				return &exitError{exitFailed, err}
			}
			if unknown := config.UnknownEnv(os.Environ(), configVariable); len(unknown) > 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "ebpfprof: variables that mean nothing:", strings.Join(unknown, ", "))
			}
			if !print {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s: OK\n", args[0])
				return nil
			}
			text, err := c.YAML()
			if err != nil {
				return &exitError{exitFailed, fmt.Errorf("print configuration: %w", err)}
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
	cmd.Flags().BoolVar(&print, "print", false, "print the whole configuration that results, as YAML")
	return cmd
}

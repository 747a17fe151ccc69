package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/ebpfprof/ebpfprof/pkg/config"
	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/loader/probe"
)

func newDaemonCmd() *cobra.Command {
	var s *settings
	cmd := &cobra.Command{
		Use:   "daemon [flags]",
		Short: "Profile this machine always: history, page, /metrics, push",
		Long: `Profile every process of this machine for as long as it runs. Profiles of each service are kept on disk, shown on a
page, and sent to Pyroscope or an OTLP receiver if one is named. Everything has a default: 'ebpfprof daemon' alone works.

Each setting is a key of the file, a flag and an environment variable; flags win over variables, variables over the file.
SIGHUP, or POST to /-/reload, reads the file anew; SIGTERM or SIGINT ends it with everything stored and sent.`,
		Example: `  sudo ebpfprof daemon
  sudo ebpfprof daemon --config /etc/ebpfprof/ebpfprof.yaml
  sudo ebpfprof daemon --pyroscope http://localhost:4040
  go tool pprof http://127.0.0.1:9780/pprof/nginx/profile?seconds=10`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.load()
			if err != nil {
				return &exitError{exitUsage, err}
			}
			if err := probe.Privileges(); err != nil {
				return &exitError{exitUnsupported, err}
			}
			return runDaemon(cmd.Context(), c, s.load)
		},
	}
	s = addSettings(cmd)
	return cmd
}

// runDaemon runs until a signal ends it.
func runDaemon(ctx context.Context, c config.Config, load func() (config.Config, error)) error {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, stop := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM)
	defer stop()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, unix.SIGHUP)
	defer signal.Stop(hup)
	setPriority(startNice)
	d, err := openDaemon(c, load)
	if err != nil {
		return daemonError(err)
	}
	defer d.close()
	if unknown := config.UnknownEnv(os.Environ()); len(unknown) > 0 {
		d.log.Warn("variables that mean nothing", "names", strings.Join(unknown, ", "))
	}
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hup:
				_ = d.reload(ctx) // logged, counted and in /api/v1/status
			}
		}
	}()
	return daemonError(d.run(ctx))
}

func daemonError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, loader.ErrKernel):
		return &exitError{exitUnsupported, fmt.Errorf("%w\nRun 'ebpfprof doctor' to see what this machine lacks", err)}
	}
	return &exitError{exitFailed, err}
}

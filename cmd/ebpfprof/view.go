package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/ebpfprof/ebpfprof/pkg/render"
	"github.com/ebpfprof/ebpfprof/pkg/server"
	"github.com/ebpfprof/ebpfprof/web"
)

// viewFlags is what the user asked for, as given.
type viewFlags struct {
	base, listen, value string
	noOpen              bool
}

func newViewCmd() *cobra.Command {
	var f viewFlags
	cmd := &cobra.Command{
		Use:   "view FILE",
		Short: "Show a profile in the browser: flame graph, table, sandwich, difference",
		Long: `Show a profile in the browser, with the page of the daemon. FILE is a pprof, folded or speedscope file, of this or
another program; - is the standard input. The page's URL is the only line on the standard output. Ctrl-C ends.`,
		Example: `  ebpfprof view profile.pb.gz
  ebpfprof view after.pb.gz --base before.pb.gz
  ssh -L 8000:127.0.0.1:8000 server ebpfprof view --listen 127.0.0.1:8000 profile.pb.gz`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd.Context(), args[0]) },
	}
	cmd.Flags().StringVar(&f.base, "base", "", "profile in `FILE` to compare with")
	cmd.Flags().StringVar(&f.listen, "listen", "127.0.0.1:0", "`ADDRESS` to serve at, of this machine only; port 0: any that is free")
	cmd.Flags().BoolVar(&f.noOpen, "no-open", false, "open no browser")
	cmd.Flags().StringVar(&f.value, "value", "", "sample `TYPE` to show first (default the profile's own)")
	return cmd
}

func (f *viewFlags) run(ctx context.Context, path string) error {
	if err := checkLoopback(f.listen); err != nil {
		return err
	}
	page, err := f.page(path)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", f.listen)
	if err != nil {
		return &exitError{exitFailed, fmt.Errorf("view: %w", err)}
	}
	ctx, stop := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	url := "http://" + l.Addr().String() + "/"
	fmt.Println(url)
	if !f.noOpen {
		openBrowser(url)
	}
	if err := server.ServeFile(ctx, l, page); err != nil {
		return &exitError{exitFailed, err}
	}
	return nil
}

// page reads the profiles and puts them into the page.
func (f *viewFlags) page(path string) ([]byte, error) {
	p, err := readProfile(path)
	if err != nil {
		return nil, err
	}
	o := render.Options{Value: f.value, Page: web.SingleFile}
	if path != "-" {
		o.Title = filepath.Base(path)
	}
	if f.base != "" {
		if o.Base, err = readProfile(f.base); err != nil {
			return nil, err
		}
	}
	html, err := render.FormatByName("html")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := render.Write(&b, html, p, o); err != nil {
		return nil, &exitError{exitFailed, err}
	}
	return b.Bytes(), nil
}

// checkLoopback refuses an address that others on the network reach: the page has no password.
func checkLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return usageError("--listen %q: want HOST:PORT: %w", address, err)
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return usageError("--listen %q: want an address of loopback, such as 127.0.0.1:8000", address)
	}
	return nil
}

// openBrowser opens url where there is a display and somebody at it. What does not open is no failure: the URL was told.
// A browser is not started as root.
func openBrowser(url string) {
	if os.Geteuid() == 0 || os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
		return
	}
	cmd := exec.Command("xdg-open", url)
	if cmd.Start() == nil {
		go func() { _ = cmd.Wait() }()
	}
}

package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// checked runs check-config on a file with this text.
func checked(t *testing.T, text string, flags ...string) (stdout, stderr string, err error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "x.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	root := newRootCmd()
	var out, told bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&told)
	root.SetArgs(append([]string{"check-config", file}, flags...))
	err = root.Execute()
	if exit := (*exitError)(nil); err != nil && (!errors.As(err, &exit) || exit.code != exitFailed) {
		t.Errorf("%q: %v does not exit with %d", text, err, exitFailed)
	}
	return out.String(), told.String(), err
}

func TestCheckConfig(t *testing.T) {
	t.Setenv("EBPFPROF_WINDOW", "20s")
	t.Setenv("EBPFPROF_WINDO", "20s")
	stdout, stderr, err := checked(t, "listen: :1\n", "--print")
	if err != nil || !strings.Contains(stdout, "listen: :1\n") || !strings.Contains(stdout, "window: 20s\n") || !strings.Contains(stderr, "EBPFPROF_WINDO\n") {
		t.Errorf("--print: %v\n%s\n%s", err, stdout, stderr)
	}
	if stdout, stderr, err := checked(t, ""); err != nil || stdout != "" || !strings.Contains(stderr, "x.yaml: OK") {
		t.Errorf("an empty file: %v %q %q", err, stdout, stderr)
	}
	for text, want := range map[string][]string{
		"listen: :1\nstor: {}\nlog: {level: x}\n":               {"x.yaml:2: stor: unknown key", "x.yaml:3: log.level"},
		"services:\n- match: {comm: (a)}\n  name: $2\n":         {"services[0]", "have 1 groups"},
		"push: {pyroscope: {basic_auth: {password: secret}}}\n": {"x.yaml:1: push.pyroscope.basic_auth.password", "password_file"},
	} {
		_, _, err := checked(t, text)
		for _, part := range want {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%q: %v does not say %q", text, err, part)
			}
		}
	}
	t.Setenv("EBPFPROF_WINDOW", "soon")
	if _, _, err := checked(t, "listen: :1\n"); err == nil || !strings.Contains(err.Error(), "EBPFPROF_WINDOW: \"soon\"") {
		t.Errorf("a wrong variable: %v", err)
	}
	root := newRootCmd()
	root.SetArgs([]string{"check-config", filepath.Join(t.TempDir(), "none")})
	if err := root.Execute(); err == nil || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// Flags win over the environment, that over the file.
func TestSettings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.yaml")
	if err := os.WriteFile(file, []byte("listen: :1\nlog: {level: warn}\nstore: {dir: /file}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(configVariable, file)
	t.Setenv("EBPFPROF_LISTEN", ":2")
	t.Setenv("EBPFPROF_STORE", "/env")
	var s *settings
	cmd := &cobra.Command{Use: "x", RunE: func(*cobra.Command, []string) error { return nil }}
	s = addSettings(cmd)
	cmd.SetArgs([]string{"--listen", ":3", "--store-enabled=false", "--pyroscope-tls-insecure-skip-verify", "--allowed-hosts", "a,b"})
	if err := cmd.Execute(); err != nil {
		t.Fatal(err)
	}
	c, err := s.load()
	if err != nil || c.Listen != ":3" || c.Store.Dir != "/env" || c.Log.Level != "warn" || c.Store.Enabled ||
		!c.Push.Pyroscope.HTTP.TLSConfig.InsecureSkipVerify || len(c.AllowedHosts) != 2 {
		t.Errorf("load: %+v, %v", c, err)
	}
	usage := cmd.UsageString()
	for _, part := range []string{"--store DIR", "(default /var/lib/ebpfprof)", "--config FILE", "--sample-frequency HZ", "(default 99)", "--store-enabled "} {
		if !strings.Contains(usage, part) {
			t.Errorf("help does not say %q:\n%s", part, usage)
		}
	}
	cmd.SetArgs([]string{"--window", "soon"})
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	if err := cmd.Execute(); err == nil || !strings.Contains(err.Error(), "--window") {
		t.Errorf("--window soon: %v", err)
	}
	t.Setenv("EBPFPROF_LISTEN", "nowhere")
	delete(s.given, "listen")
	if _, err := s.load(); err == nil || !strings.Contains(err.Error(), "EBPFPROF_LISTEN") {
		t.Errorf("EBPFPROF_LISTEN=nowhere: %v", err)
	}
}

package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// manager is systemd's end of the socket.
func manager(t *testing.T) func() string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return func() string {
		t.Helper()
		b := make([]byte, 4096)
		n, err := conn.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
}

func TestNotify(t *testing.T) {
	heard := manager(t)
	for _, tt := range []struct {
		tell func() error
		want string
	}{
		{func() error { return notifier{}.ready("profiling\nMAINPID=1") }, "^READY=1\nSTATUS=profiling MAINPID=1$"},
		{notifier{}.reloading, "^RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]+$"},
		{func() error { return notifier{}.stopping("storing the last window") }, "^STOPPING=1\nSTATUS=storing the last window$"},
	} {
		if err := tt.tell(); err != nil {
			t.Fatal(err)
		}
		if got := heard(); !regexp.MustCompile(tt.want).MatchString(got) {
			t.Errorf("told %q, want %q", got, tt.want)
		}
	}
}

// The watchdog is told only while the daemon is alive, and until it stops.
func TestNotifyWatchdog(t *testing.T) {
	heard := manager(t)
	t.Setenv("WATCHDOG_USEC", "2000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	asked := 0
	go func() {
		ended <- notifier{}.watch(ctx, func() bool { asked++; return asked > 3 })
	}()
	for range 2 {
		if got := heard(); got != "WATCHDOG=1" {
			t.Errorf("told %q", got)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if asked < 5 {
		t.Errorf("told twice after %d questions, three of which were answered no", asked)
	}
}

func TestNotifyWithoutSystemd(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	if err := (notifier{}).ready(""); err != nil {
		t.Error(err)
	}
	if err := (notifier{}).watch(t.Context(), func() bool { t.Error("asked"); return true }); err != nil {
		t.Error(err)
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nobody"))
	if err := (notifier{}).ready(""); err == nil {
		t.Error("no error without a listener")
	}
}

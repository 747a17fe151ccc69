package main

import (
	"context"
	"fmt"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// A notifier tells systemd about the daemon, see sd_notify(3). Without systemd, that is without NOTIFY_SOCKET, all of
// it does nothing. Errors are for the log: the daemon works without being heard.
type notifier struct{}

// ready says that start or reload is done.
func (notifier) ready(status string) error {
	return notify(sd.SdNotifyReady + "\nSTATUS=" + oneLine(status))
}

// reloading says that a reload began; ready ends it, whether it succeeded or not. The time is for Type=notify-reload.
func (notifier) reloading() error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return notify(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", sd.SdNotifyReloading, now.Nano()/int64(time.Microsecond)))
}

// stopping says that the end began.
func (notifier) stopping(status string) error {
	return notify(sd.SdNotifyStopping + "\nSTATUS=" + oneLine(status))
}

// watch tells systemd that the daemon lives, twice in each WatchdogSec, until ctx ends; it returns at once if the unit
// has none. While alive says no it is silent, and systemd starts the daemon anew. alive must not block.
func (notifier) watch(ctx context.Context, alive func() bool) error {
	limit, err := sd.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("systemd's watchdog: %w", err)
	}
	if limit <= 0 {
		return nil
	}
	tick := time.NewTicker(limit / 2)
	defer tick.Stop()
	for {
		if alive() {
			if err := notify(sd.SdNotifyWatchdog); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func notify(state string) error {
	if _, err := sd.SdNotify(false, state); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return nil
}

// oneLine keeps a status from being taken for further assignments.
func oneLine(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c == '\n' {
			b[i] = ' '
		}
	}
	return string(b)
}

package main

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

//go:embed stops.py
var stopScript string

// A stop is one time that gdb had the process stopped. Times are CLOCK_MONOTONIC, as those of samples.
type stop struct {
	Resumed time.Duration // before it was let run
	Stopped time.Duration // after the last of its threads had stopped
	Threads []thread
}

// A thread is a stopped thread as gdb sees it.
type thread struct {
	TID    int
	Name   string
	SP     uint64
	Frames []frame // leaf first
	Broken string  // what ended the backtrace, if not its root
}

// A frame is one of gdb's, in JSON an array.
type frame struct {
	pc     uint64
	signal bool // the kernel's frame of a signal handler
}

func (f *frame) UnmarshalJSON(b []byte) error {
	return json.Unmarshal(b, &[]any{&f.pc, &f.signal})
}

// The time for which a process runs between two stops.
const (
	shortestRun = 2 * time.Millisecond
	longestRun  = 14 * time.Millisecond
)

// watch has gdb stop a process up to stops times, and calls yield with each. It returns when gdb has let the process
// go, or the process has ended.
func watch(pid, stops, threads int, yield func(stop)) error {
	dir, err := os.MkdirTemp("", "agreement")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	script, fifo := filepath.Join(dir, "stops.py"), filepath.Join(dir, "out")
	head := fmt.Sprintf("PID, STOPS, THREADS, OUT = %d, %d, %d, %q\n", pid, stops, threads, fifo)
	if err := os.WriteFile(script, []byte(head+stopScript), 0o600); err != nil {
		return err
	}
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		return fmt.Errorf("make fifo: %w", err)
	}
	in, err := os.OpenFile(fifo, os.O_RDWR, 0) // for writing too, so that neither side waits for the other to open
	if err != nil {
		return err
	}
	var said bytes.Buffer
	cmd := exec.Command("gdb", "-nx", "-batch", "-x", script)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		in.Close()
		return fmt.Errorf("start gdb: %w", err)
	}
	read := make(chan error, 1)
	go func() { read <- readStops(in, pid, yield) }()
	err = cmd.Wait()
	in.SetReadDeadline(time.Now().Add(100 * time.Millisecond)) // what gdb wrote last
	if readErr := <-read; !errors.Is(readErr, os.ErrDeadlineExceeded) {
		err = errors.Join(err, readErr)
	}
	in.Close()
	if err != nil {
		return fmt.Errorf("gdb: %w\n%s", err, said.Bytes())
	}
	return nil
}

func readStops(in io.Reader, pid int, yield func(stop)) error {
	lines := bufio.NewReaderSize(in, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return err
		}
		if string(line) == "null\n" {
			time.AfterFunc(shortestRun+rand.N(longestRun-shortestRun), func() { halt(pid) })
			continue
		}
		var s stop
		if err := json.Unmarshal(line, &s); err != nil {
			return fmt.Errorf("read stop: %w", err)
		}
		yield(s)
	}
}

// halt stops any thread of a process; gdb then stops the others. One that has just ended is as good as none: another
// is tried.
func halt(pid int) {
	for range 10 {
		tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		if err != nil {
			return
		}
		tid, err := strconv.Atoi(tasks[rand.N(len(tasks))].Name())
		if err == nil && unix.Tgkill(pid, tid, unix.SIGSTOP) == nil {
			return
		}
	}
}

package guest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Where the initramfs has the programs.
const (
	ebpfprof = "/bin/ebpfprof"
	csplit   = "/bin/csplit"
	gosplit  = "/bin/gosplit"
)

// needGuest skips a test outside the guests.
func needGuest(t *testing.T) {
	t.Helper()
	if os.Getenv("EBPFPROF_GUEST") == "" {
		t.Skip("runs inside the guests of the kernel matrix: make test-vm")
	}
}

// exitLacking is ebpfprof's exit code for a missing privilege or kernel feature.
const exitLacking = 4

// mayLack skips a test whose command says that this kernel lacks something, where the
// matrix allows that. It must say what.
func mayLack(t *testing.T, exit int, stderr string) {
	t.Helper()
	if exit != exitLacking || os.Getenv("EBPFPROF_MAY_LACK") == "" {
		return
	}
	if message := strings.TrimSpace(stderr); message == "" {
		t.Fatal("exit 4 without a word on what is missing")
	} else {
		t.Skipf("this kernel lacks a feature: %s", message)
	}
}

// start runs a target that says "ready" until the test ends, and waits for that word.
func start(t *testing.T, argv ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", argv[0], err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("start %s: it said %q, not ready: %v", argv[0], line, err)
	}
	// Behind ebpfprof, so that it loads and names at the speed of an idle machine. A
	// process alone would be its first thread only.
	if err := unix.Setpriority(unix.PRIO_PGRP, cmd.Process.Pid, 19); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// limit is how long a run of ebpfprof may take. Loading its programs takes an emulated
// machine seconds, sampling no test more than 6 s.
const limit = 40 * time.Second

// run runs ebpfprof to its end. Past the limit it is made to show what it is doing.
func run(t *testing.T, args ...string) (exit int, stdout, stderr string) {
	t.Helper()
	return runUntil(t, nil, args...)
}

// runUntil is run of what is interrupted, as with Ctrl-C, when over is closed. Where a
// duration would have to outlast something, how long that takes is the host's doing.
func runUntil(t *testing.T, over <-chan struct{}, args ...string) (exit int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, ebpfprof, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) }
	cmd.WaitDelay = 5 * time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatalf("run ebpfprof: %v", err)
	}
	ended := make(chan struct{})
	go func() {
		select {
		case <-over:
			cmd.Process.Signal(syscall.SIGINT)
		case <-ended:
		}
	}()
	err := cmd.Wait()
	close(ended)
	if cmd.ProcessState == nil {
		t.Fatalf("run ebpfprof: %v", err)
	}
	if ctx.Err() != nil {
		t.Fatalf("ebpfprof %s: not done after %v: %s", strings.Join(args, " "), limit, errs.String())
	}
	t.Logf("ebpfprof %s: exit %d: %s", strings.Join(args, " "), cmd.ProcessState.ExitCode(), strings.TrimSpace(errs.String()))
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// TestBTF: the host took the same types out of the image as the kernel shows, so what
// the offline check says of them holds here.
func TestBTF(t *testing.T) {
	needGuest(t)
	data, err := os.ReadFile("/sys/kernel/btf/vmlinux")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	if got, want := hex.EncodeToString(sum[:]), os.Getenv("EBPFPROF_BTF_SHA256"); got != want {
		t.Errorf("SHA-256 of the kernel's BTF is %s, of that in the image %s", got, want)
	}
}

func TestDoctor(t *testing.T) {
	needGuest(t)
	exit, stdout, stderr := run(t, "doctor", "--json")
	mayLack(t, exit, stderr)
	if exit != 0 {
		t.Errorf("exit %d", exit)
	}
	var report any
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatalf("its output is no JSON: %v\n%s", err, stdout)
	}
	var uname unix.Utsname
	if err := unix.Uname(&uname); err != nil {
		t.Fatal(err)
	}
	if release := unix.ByteSliceToString(uname.Release[:]); !strings.Contains(stdout, release) {
		t.Errorf("the report does not name the kernel %s:\n%s", release, stdout)
	}
}

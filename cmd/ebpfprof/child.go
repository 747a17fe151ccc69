package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// Exit codes of a command that did not start, as shells have them.
const (
	exitNotExecutable = 126
	exitNotFound      = 127
)

// A child is the command of a recording or a count. One that is held has been executed, but no instruction of it has
// run until release.
type child struct {
	open     func() error // nil: held until release
	cmd      *exec.Cmd
	released chan struct{}
	exited   chan struct{}
	code     int
}

// startChild starts argv under ptrace, which stops it at its exec: sampling can begin before its first instruction.
func startChild(argv []string, as *account) (*child, error) {
	return newChild(argv, as, as.environment(), nil)
}

// startChildWith is startChild with another environment.
func startChildWith(environ, argv []string, as *account) (*child, error) {
	return newChild(argv, as, environ, nil)
}

// startCounted starts argv on a thread on which open has been called: counters that open opens on it, to be inherited
// and enabled on exec, count the command from its exec on. It is not held.
func startCounted(argv []string, as *account, open func() error) (*child, error) {
	return newChild(argv, as, as.environment(), open)
}

func newChild(argv []string, as *account, environ []string, open func() error) (*child, error) {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return nil, &exitError{startCode(err), fmt.Errorf("run %s: %w", argv[0], err)}
	}
	c := &child{open: open, released: make(chan struct{}), exited: make(chan struct{})}
	c.cmd = &exec.Cmd{
		Path: path, Args: argv, Env: environ,
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		SysProcAttr: &syscall.SysProcAttr{Ptrace: open == nil},
	}
	if as != nil {
		c.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: as.uid, Gid: as.gid, Groups: as.groups}
	}
	started := make(chan error)
	go c.trace(started)
	if err := <-started; err != nil {
		if exit, ok := errors.AsType[*exitError](err); ok {
			return nil, exit
		}
		return nil, &exitError{startCode(err), fmt.Errorf("run %s: %w", argv[0], err)}
	}
	return c, nil
}

// trace holds the thread that ptrace, or its counters, tie the child to.
func (c *child) trace(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if c.open != nil {
		if err := c.open(); err != nil {
			started <- err
			return
		}
	}
	if err := c.cmd.Start(); err != nil {
		started <- err
		return
	}
	if c.open != nil {
		started <- nil
		c.code = exitCode(c.cmd.Wait())
		close(c.exited)
		return
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(c.pid(), &status, 0, nil); err != nil || !status.Stopped() {
		c.cmd.Process.Kill()
		started <- fmt.Errorf("wait for exec: status %#x: %w", status, err)
		return
	}
	started <- nil
	<-c.released
	// Fails only if the child was killed meanwhile, which the wait tells.
	_ = unix.PtraceDetach(c.pid())
	c.code = exitCode(c.cmd.Wait())
	close(c.exited)
}

func (c *child) pid() int { return c.cmd.Process.Pid }

func (c *child) release() { close(c.released) }

// kill ends a child that was not released.
func (c *child) kill() {
	c.cmd.Process.Kill()
	c.release()
	<-c.exited
}

// done is closed when the child has exited; a nil child's never is.
func (c *child) done() <-chan struct{} {
	if c == nil {
		return nil
	}
	return c.exited
}

// signal passes on what we got. A Ctrl-C on a terminal has reached the child already, as it is in our group.
func (c *child) signal(sig os.Signal) {
	if sig == unix.SIGINT && term.IsTerminal(int(os.Stdin.Fd())) {
		return
	}
	_ = c.cmd.Process.Signal(sig) // gone: the wait tells
}

// wait returns the exit code when the child has exited, and passes signals on until then. A second Ctrl-C ends
// the wait.
func (c *child) wait(signals <-chan os.Signal) int {
	interrupts := 0
	for {
		select {
		case <-c.exited:
			return c.code
		case sig := <-signals:
			c.signal(sig)
			if sig != unix.SIGINT {
				continue
			}
			if interrupts++; interrupts == 2 {
				return 128 + int(unix.SIGINT)
			}
		}
	}
}

func startCode(err error) int {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return exitNotFound
	}
	return exitNotExecutable
}

func exitCode(err error) int {
	var exit *exec.ExitError
	if err == nil {
		return 0
	}
	if !errors.As(err, &exit) {
		return exitFailed
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return exit.ExitCode()
}

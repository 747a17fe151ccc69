package target

import (
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// readyTimeout is far more than any target program takes to begin, on a slow machine too.
const readyTimeout = 20 * time.Second

// A Process is a running target program.
type Process struct {
	PID  int
	cmd  *exec.Cmd
	out  *output
	done chan struct{}
	err  error // of the wait; set when done is closed
}

// Start runs a program that prints "ready" when it begins, and returns when it has. At
// the end of the test it is killed, with the processes of its group.
func Start(tb testing.TB, path string, args ...string) *Process {
	tb.Helper()
	return StartCommand(tb, exec.Command(path, args...))
}

// StartCommand is Start for a command whose environment, directory or attributes the
// caller has set. Its standard output and, if not set, standard error are the Process's.
func StartCommand(tb testing.TB, cmd *exec.Cmd) *Process {
	tb.Helper()
	p := &Process{cmd: cmd, out: newOutput("ready"), done: make(chan struct{})}
	cmd.Stdout = p.out
	if cmd.Stderr == nil {
		cmd.Stderr = p.out
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.WaitDelay = time.Second // grandchildren may keep the output open
	if err := cmd.Start(); err != nil {
		tb.Fatalf("start target: %v", err)
	}
	p.PID = cmd.Process.Pid
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	tb.Cleanup(p.Kill)
	select {
	case <-p.out.seen:
	case <-p.done:
		tb.Fatalf("target %v ended before it was ready: %v\n%s", cmd, p.err, p.Output())
	case <-time.After(readyTimeout):
		tb.Fatalf("target %v is not ready after %s\n%s", cmd, readyTimeout, p.Output())
	}
	return p
}

// Kill ends the process and its group. It may have ended before.
func (p *Process) Kill() {
	_ = syscall.Kill(-p.PID, syscall.SIGKILL) // ESRCH: the whole group has gone
	<-p.done
}

// Wait returns the output when the process has ended by itself.
func (p *Process) Wait(tb testing.TB) string {
	tb.Helper()
	<-p.done
	if p.err != nil {
		tb.Fatalf("target %v: %v\n%s", p.cmd, p.err, p.Output())
	}
	return p.Output()
}

// Exited is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.done }

// Output is what the process has printed so far.
func (p *Process) Output() string { return p.out.String() }

// Number finds the line "KEY N" in a target's output, where KEY may have spaces.
func Number(tb testing.TB, output, key string) float64 {
	tb.Helper()
	for line := range strings.Lines(output) {
		var n float64
		rest, ok := strings.CutPrefix(line, key+" ")
		if !ok {
			continue
		}
		if _, err := fmt.Sscan(rest, &n); err != nil {
			tb.Fatalf("target printed %q: %v", line, err)
		}
		return n
	}
	tb.Fatalf("target printed no %q:\n%s", key, output)
	return 0
}

// output keeps what is written and tells of the first line that is the awaited word.
type output struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	word string
	seen chan struct{}
	told bool
}

var _ io.Writer = (*output)(nil)

func newOutput(word string) *output { return &output{word: word, seen: make(chan struct{})} }

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Write(b)
	if !o.told && strings.Contains("\n"+o.buf.String(), "\n"+o.word+"\n") {
		o.told = true
		close(o.seen)
	}
	return len(b), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

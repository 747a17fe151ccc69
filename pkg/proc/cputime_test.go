package proc

import (
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"
)

// The clock of another process tells what the kernel says it used when it is waited for.
func TestCPUTime(t *testing.T) {
	before, err := CPUTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for begin := time.Now(); time.Since(begin) < 20*time.Millisecond; {
	}
	if after, err := CPUTime(os.Getpid()); err != nil || after <= before {
		t.Errorf("%s after %s: %v", after, before, err)
	}
	cmd := exec.Command("sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; kill -STOP $$")
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	var used time.Duration
	for range 200 {
		time.Sleep(20 * time.Millisecond)
		now, err := CPUTime(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		if now > 0 && now == used {
			break // it has stopped itself
		}
		used = now
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	whole := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if used == 0 || used > whole+5*time.Millisecond || used < whole/2 {
		t.Errorf("%s, and %s at the end", used, whole)
	}
	if _, err := CPUTime(cmd.Process.Pid); !errors.Is(err, ErrNoProcess) {
		t.Errorf("of a process that has gone: %v", err)
	}
}

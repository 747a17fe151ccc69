// Package vm boots kernels in QEMU's software emulation and runs programs in them.
//
// A guest is a kernel and an initramfs, nothing else: no disk, no network. The
// initramfs holds the PID 1 of ./init, a Payload that names the commands to run,
// and the programs themselves. What they print, and what the kernel has to complain
// about, comes back over the serial line; Verdict judges it.
package vm

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"time"
)

// A Machine is what QEMU emulates. Arch, Kernel and Initrd are needed, the rest has
// defaults.
type Machine struct {
	Arch    string        // amd64 or arm64
	Kernel  string        // path of a bzImage or Image
	Initrd  string        // path of the initramfs
	CPUs    int           // 2
	Memory  int           // MiB, 1024
	Timeout time.Duration // 120 s, then QEMU is killed and Boot fails
	Append  string        // more of the kernel's command line
}

// Boot runs the machine until it powers itself off and copies its serial line to
// serial. The error tells of QEMU only; whether the payload did well stands in what
// it printed.
func (m Machine) Boot(ctx context.Context, serial io.Writer) error {
	name, args, err := m.command()
	if err != nil {
		return err
	}
	timeout := m.Timeout
	if timeout == 0 {
		timeout = 120 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = serial, serial
	cmd.WaitDelay = 5 * time.Second
	err = cmd.Run()
	if ctx.Err() == context.DeadlineExceeded {
		return fmt.Errorf("boot %s: the guest did not power off within %v", m.Kernel, timeout)
	}
	if err != nil {
		return fmt.Errorf("run %s: %w", name, err)
	}
	return nil
}

// command returns QEMU's name and arguments.
//
// thread=single: with one host thread per CPU, QEMU 7.2 crashes x86 guests while the
// kernel patches its own text, which attaching a probe does: 5 of 23 runs with
// attaching under load against 0 of 20, and it is no slower on two host CPUs.
// nowatchdog: a soft lockup would tell of a busy host, a real hang meets the timeout.
func (m Machine) command() (name string, args []string, err error) {
	var console string
	switch m.Arch {
	case "amd64":
		name, console = "qemu-system-x86_64", "ttyS0 tsc=reliable"
		args = []string{"-machine", "q35", "-cpu", "max"}
	case "arm64":
		name, console = "qemu-system-aarch64", "ttyAMA0"
		args = []string{"-machine", "virt,gic-version=3", "-cpu", "cortex-a57"}
	default:
		return "", nil, fmt.Errorf("no machine for architecture %q", m.Arch)
	}
	cpus, memory := m.CPUs, m.Memory
	if cpus == 0 {
		cpus = 2
	}
	if memory == 0 {
		memory = 1024
	}
	cmdline := "console=" + console + " panic=-1 quiet nowatchdog mitigations=off random.trust_cpu=on"
	if m.Append != "" {
		cmdline += " " + m.Append
	}
	return name, append(args,
		"-accel", "tcg,thread=single", "-smp", strconv.Itoa(cpus), "-m", strconv.Itoa(memory),
		"-nodefaults", "-no-user-config", "-display", "none", "-monitor", "none",
		"-serial", "stdio", "-no-reboot",
		"-kernel", m.Kernel, "-initrd", m.Initrd, "-append", cmdline), nil
}

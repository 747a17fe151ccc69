// Init is PID 1 of a test guest: it mounts what programs expect, runs the commands of
// the payload, repeats the kernel's warnings on the console and powers off.
//
// It runs everything in child processes that start after the mounts are there:
// cilium/ebpf reads /proc/self/mountinfo once, before main.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebpfprof/ebpfprof/test/vm"
)

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "init: runs as PID 1 of a test guest only; it powers the machine off")
		os.Exit(2)
	}
	mount()
	err := run()
	repeatWarnings()
	if err != nil {
		fmt.Println("init:", err)
	} else {
		fmt.Println(vm.DoneLine)
	}
	unix.Sync()
	time.Sleep(100 * time.Millisecond) // for the last line to leave the UART
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Println("init: power off:", err)
	}
}

// mount prints what does not work and goes on: a kernel may lack a file system, and
// the programs say better what they miss.
func mount() {
	for _, m := range []struct{ fs, dir string }{
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"},
		{"debugfs", "/sys/kernel/debug"}, {"tracefs", "/sys/kernel/tracing"},
		{"securityfs", "/sys/kernel/security"}, {"bpf", "/sys/fs/bpf"},
		{"cgroup2", "/sys/fs/cgroup"}, {"tmpfs", "/tmp"}, {"tmpfs", "/run"},
	} {
		if err := os.MkdirAll(m.dir, 0o755); err != nil {
			fmt.Println("init:", err)
		}
		if err := unix.Mount(m.fs, m.dir, m.fs, 0, ""); err != nil {
			fmt.Printf("init: mount %s on %s: %v\n", m.fs, m.dir, err)
		}
	}
}

func run() error {
	data, err := os.ReadFile(vm.PayloadPath)
	if err != nil {
		return fmt.Errorf("read the payload: %w", err)
	}
	payload, err := vm.DecodePayload(data)
	if err != nil {
		return err
	}
	for _, command := range payload.Commands {
		start := time.Now()
		cmd := exec.Command(command.Argv[0], command.Argv[1:]...)
		cmd.Dir = "/tmp"
		cmd.Env = append([]string{"PATH=/bin", "HOME=/root", "TERM=dumb"}, payload.Env...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
		exit := 0
		if err := cmd.Run(); err != nil {
			exit = -1
			if failed := (*exec.ExitError)(nil); errors.As(err, &failed) {
				exit = failed.ExitCode()
			}
			fmt.Printf("init: %s: %v\n", command.Name, err)
		}
		fmt.Printf(vm.ResultFormat, command.Name, exit, time.Since(start).Seconds())
	}
	return nil
}

// repeatWarnings prints the kernel's messages of level warning or worse, which a
// quiet console does not show.
func repeatWarnings() {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		fmt.Println("init: open /dev/kmsg:", err)
		return
	}
	defer unix.Close(fd)
	buf := make([]byte, 8192) // a record is never longer: CONSOLE_EXT_LOG_MAX, printk.c
	for {
		n, err := unix.Read(fd, buf)
		if err == unix.EPIPE { // records were overwritten; the next read goes on after them
			continue
		}
		if err != nil || n <= 0 {
			return
		}
		// "level+facility*8,sequence,microseconds,flags;message", Documentation/ABI/testing/dev-kmsg
		head, message, _ := strings.Cut(string(buf[:n]), ";")
		first, _, _ := strings.Cut(head, ",")
		if priority, err := strconv.Atoi(first); err == nil && priority&7 <= 4 {
			message, _, _ = strings.Cut(message, "\n")
			fmt.Println("kmsg:", message)
		}
	}
}

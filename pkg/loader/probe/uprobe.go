package probe

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// probed is the function of this program that the uprobe tests trap on. Only
// they call it, so that nothing else pays for the trap.
//
//go:noinline
func probed(x int) int { return x*3 + 1 }

const self = "/proc/self/exe"

func traceUprobe(ctx context.Context) error {
	return trap(ctx, ebpf.ProgramSpec{Type: ebpf.Kprobe}, func(exe *link.Executable, offset uint64, prog *ebpf.Program) (io.Closer, error) {
		return exe.Uprobe("", prog, &link.UprobeOptions{Address: offset, PID: os.Getpid()})
	})
}

// traceUprobeMulti attaches for real: 6.1 loads such programs and cannot
// attach them, which 6.6 can.
func traceUprobeMulti(ctx context.Context) error {
	spec := ebpf.ProgramSpec{Type: ebpf.Kprobe, AttachType: ebpf.AttachTraceUprobeMulti}
	return trap(ctx, spec, func(exe *link.Executable, offset uint64, prog *ebpf.Program) (io.Closer, error) {
		return exe.UprobeMulti(nil, prog, &link.UprobeMultiOptions{Addresses: []uint64{offset}, PID: uint32(os.Getpid())})
	})
}

// trap attaches a counting program to probed, calls it, and expects the count.
func trap(ctx context.Context, spec ebpf.ProgramSpec, attach func(*link.Executable, uint64, *ebpf.Program) (io.Closer, error)) error {
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return err
	}
	defer maps.Close()
	offset, err := FileOffset(maps, uint64(reflect.ValueOf(probed).Pointer()))
	if err != nil {
		return fmt.Errorf("locate own function: %w", err)
	}
	exe, err := link.OpenExecutable(self)
	if err != nil {
		return fmt.Errorf("open %s: %w", self, err)
	}
	return firesOnce(ctx, spec, func(prog *ebpf.Program) (io.Closer, error) {
		attached, err := attach(exe, offset, prog)
		if err == nil {
			runtime.KeepAlive(probed(1))
		}
		return attached, err
	})
}

// FileOffset finds where in its file the code at addr is, from the lines of a
// /proc/PID/maps (proc_pid_maps(5)).
func FileOffset(maps io.Reader, addr uint64) (uint64, error) {
	lines := bufio.NewScanner(io.LimitReader(maps, 1<<20))
	for lines.Scan() {
		// 00401000-004a2000 r-xp 00001000 fe:01 12345  /usr/bin/x
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 {
			continue
		}
		from, to, ok := strings.Cut(fields[0], "-")
		if !ok {
			continue
		}
		start, err1 := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		offset, err3 := strconv.ParseUint(fields[2], 16, 64)
		if err1 == nil && err2 == nil && err3 == nil && start <= addr && addr < end {
			return addr - start + offset, nil
		}
	}
	if err := lines.Err(); err != nil {
		return 0, err
	}
	return 0, fmt.Errorf("address %#x is in no file mapping", addr)
}

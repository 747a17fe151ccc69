package loader

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/ebpfprof/ebpfprof/pkg/loader/probe"
)

// Functions of one instruction that the kernel emulates, or not, and a return. Nothing but CalibrateAllocs and
// multiSeesThreads calls them.
func emulatedHit()
func steppedHit()

// trapAddresses are where the two lie: a function value of Go leads to a wrapper.
func trapAddresses() (emulated, stepped uintptr)

const ownFile = "/proc/self/exe"

// ownFunction tells where the function at an address is in this program's file.
func ownFunction(addr uintptr) (pid int, offset uint64, err error) {
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return 0, 0, fmt.Errorf("locate own function: %w", err)
	}
	defer maps.Close()
	at, err := probe.FileOffset(maps, uint64(addr))
	if err != nil {
		return 0, 0, fmt.Errorf("locate own function: %w", err)
	}
	return os.Getpid(), at, nil
}

// multiSeesThreads finds out by attaching one whether a uprobe_multi link (6.6) for a process fires in its threads: until
// 46ba0e49b642 (6.10 and stable kernels) it did in one thread only.
func multiSeesThreads() error {
	hits, err := ebpf.NewMap(&ebpf.MapSpec{Name: "trap_hits", Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		return err
	}
	defer hits.Close()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "trap", Type: ebpf.Kprobe, AttachType: ebpf.AttachTraceUprobeMulti, License: "GPL",
		Instructions: asm.Instructions{
			asm.StoreImm(asm.RFP, -4, 0, asm.Word),
			asm.LoadMapPtr(asm.R1, hits.FD()),
			asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -4),
			asm.FnMapLookupElem.Call(),
			asm.JEq.Imm(asm.R0, 0, "out"),
			asm.StoreImm(asm.R0, 0, 1, asm.Word),
			asm.Mov.Imm(asm.R0, 0).WithSymbol("out"),
			asm.Return(),
		},
	})
	if err != nil {
		return err
	}
	defer p.Close()
	emulated, _ := trapAddresses()
	pid, at, err := ownFunction(emulated)
	if err != nil {
		return err
	}
	exe, err := link.OpenExecutable(ownFile)
	if err != nil {
		return err
	}
	l, err := exe.UprobeMulti(nil, p, &link.UprobeMultiOptions{Addresses: []uint64{at}, PID: uint32(pid)})
	if err != nil {
		return err
	}
	defer l.Close()
	// Two threads at once: one of them is not the main one.
	locked, held, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	for range 2 {
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			locked <- struct{}{}
			<-held
			if os.Getpid() != unix.Gettid() {
				emulatedHit()
			}
			done <- struct{}{}
		}()
	}
	<-locked
	<-locked
	close(held)
	<-done
	<-done
	var n uint32
	if err := hits.Lookup(uint32(0), &n); err != nil {
		return err
	}
	if n == 0 {
		return errors.New("a link for a process does not fire in its threads")
	}
	return nil
}

package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/ringbuf"
)

// pipeRingBuffer lets a timer program write into a ring buffer and reads what
// it wrote.
func pipeRingBuffer(ctx context.Context) error {
	const word = 0x70726f66
	ring, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: "prof_probe_ring", Type: ebpf.RingBuf, MaxEntries: uint32(os.Getpagesize()),
	})
	if err != nil {
		return tried("create ring buffer", err)
	}
	defer ring.Close()
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "prof_probe", Type: ebpf.PerfEvent, License: license,
		Instructions: asm.Instructions{
			asm.Mov.Imm(asm.R1, word),
			asm.StoreMem(asm.RFP, -8, asm.R1, asm.DWord),
			asm.LoadMapPtr(asm.R1, ring.FD()),
			asm.Mov.Reg(asm.R2, asm.RFP),
			asm.Add.Imm(asm.R2, -8),
			asm.Mov.Imm(asm.R3, 8),
			asm.Mov.Imm(asm.R4, 0),
			asm.FnRingbufOutput.Call(),
			asm.Mov.Imm(asm.R0, 0),
			asm.Return(),
		},
	})
	if err != nil {
		return tried("load program", err)
	}
	defer prog.Close()
	reader, err := ringbuf.NewReader(ring)
	if err != nil {
		return tried("map ring buffer", err)
	}
	defer reader.Close()
	clock, err := openClock()
	if err != nil {
		return err
	}
	defer clock.Close()
	if err := clock.Attach(prog.FD()); err != nil {
		return err
	}
	reader.SetDeadline(time.Now().Add(patience))
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < patience {
		reader.SetDeadline(deadline)
	}
	record, err := reader.Read()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errSilent
	} else if err != nil {
		return fmt.Errorf("read ring buffer: %w", err)
	}
	if got := record.RawSample; len(got) < 8 || binary.NativeEndian.Uint64(got) != word {
		return fmt.Errorf("read ring buffer: unexpected record %x", got)
	}
	return nil
}

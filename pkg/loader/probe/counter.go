package probe

import (
	"context"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// license lets programs call helpers that are for GPL programs only.
const license = "Dual BSD/GPL"

// patience is how long an attached program is given to fire. The timer and
// the context switches that the probes wait for come every few milliseconds.
const patience = time.Second

// minimal is the smallest program: it returns 0.
func minimal(spec ebpf.ProgramSpec) (*ebpf.Program, error) {
	spec.Name = "prof_probe"
	spec.License = license
	spec.Instructions = asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}
	prog, err := ebpf.NewProgram(&spec)
	return prog, tried("load program", err)
}

// counter is a program that counts how often it ran.
type counter struct {
	prog *ebpf.Program
	runs *ebpf.Map
}

// newCounter loads a counting program of the type and target in spec.
// The caller closes it.
func newCounter(spec ebpf.ProgramSpec) (*counter, error) {
	runs, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: "prof_probe_runs", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1,
	})
	if err != nil {
		return nil, tried("create array map", err)
	}
	spec.Name = "prof_probe"
	spec.License = license
	spec.Instructions = asm.Instructions{
		asm.LoadMapValue(asm.R1, runs.FD(), 0),
		asm.Mov.Imm(asm.R2, 1),
		asm.StoreXAdd(asm.R1, asm.R2, asm.DWord),
		asm.Mov.Imm(asm.R0, 0),
		asm.Return(),
	}
	prog, err := ebpf.NewProgram(&spec)
	if err != nil {
		runs.Close()
		return nil, tried("load program", err)
	}
	return &counter{prog: prog, runs: runs}, nil
}

func (c *counter) Close() {
	c.prog.Close()
	c.runs.Close()
}

// await waits until the program has run, or reports errSilent.
func (c *counter) await(ctx context.Context) error {
	for deadline := time.Now().Add(patience); ; {
		var runs uint64
		if err := c.runs.Lookup(uint32(0), &runs); err != nil {
			return fmt.Errorf("read counter: %w", err)
		}
		if runs > 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return errSilent
		}
		select {
		case <-ctx.Done():
			return errSilent
		case <-time.After(time.Millisecond):
		}
	}
}

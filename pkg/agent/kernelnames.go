package agent

import (
	"os"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
	"github.com/ebpfprof/ebpfprof/pkg/symbolize"
)

// A kernelNamer names kernel addresses: by a program that asks the kernel, or, before 5.14, by the kernel's table, read
// anew for each question, because modules come and go. The zero value is ready.
type kernelNamer struct {
	program *loader.KernelNamer
	failed  bool // there is no program
}

func (k *kernelNamer) places(frames []frame) []*place {
	addrs := make([]uint64, len(frames))
	for i, f := range frames {
		addrs[i] = uint64(f)
	}
	names := k.names(addrs)
	out := make([]*place, len(frames))
	for i := range frames {
		out[i] = &place{LiveLocation: profile.LiveLocation{Mapping: profile.Mapping{File: profile.KernelMapping}, Addr: addrs[i], Frames: names(i)}}
	}
	return out
}

// names finds the names of addrs. Where nothing tells, frames keep their addresses.
func (k *kernelNamer) names(addrs []uint64) func(i int) []profile.Frame {
	if k.program == nil && !k.failed {
		var err error
		k.program, err = loader.OpenKernelNamer()
		k.failed = err != nil
	}
	if k.program != nil {
		if names, _, err := k.program.Names(addrs); err == nil {
			return func(i int) []profile.Frame {
				if names[i] == "" {
					return nil
				}
				return []profile.Frame{{Name: names[i]}}
			}
		}
	}
	if table := readKernel(); table != nil {
		return func(i int) []profile.Frame { return table.Frames(addrs[i]) }
	}
	return func(int) []profile.Frame { return nil }
}

func (k *kernelNamer) close() {
	if k.program != nil {
		k.program.Close()
		k.program = nil
	}
}

func readKernel() *symbolize.Kernel {
	f, err := os.Open("/proc/kallsyms")
	if err != nil {
		return nil
	}
	defer f.Close()
	table, err := symbolize.ReadKernel(f)
	if err != nil {
		return nil
	}
	return table
}

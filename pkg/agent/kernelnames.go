package agent

import (
	"os"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
	"github.com/ebpfprof/ebpfprof/pkg/symbolize"
)

const (
	// busyKernel is how soon after a question another one makes it worth reading the whole table of the kernel: a question
	// loads a program, some milliseconds, and live readers ask four times a second.
	busyKernel = 5 * time.Second
	// staleKernel is how old the table may be when it lacks a name: modules come and go.
	staleKernel = time.Minute
)

// A kernelNamer names kernel addresses: by a program that asks the kernel, or, when it is asked often, by a table of
// some three megabytes. The zero value is ready.
type kernelNamer struct {
	asked time.Time
	table *symbolize.Kernel
	read  time.Time
}

func (k *kernelNamer) places(frames []frame) []*place {
	addrs := make([]uint64, len(frames))
	for i, f := range frames {
		addrs[i] = uint64(f)
	}
	names := k.names(addrs)
	out := make([]*place, len(frames))
	for i := range frames {
		out[i] = &place{mapping: profile.Mapping{File: profile.KernelMapping}, addr: addrs[i], frames: names(i)}
	}
	return out
}

// names finds the names of addrs. Where nothing tells, frames keep their addresses.
func (k *kernelNamer) names(addrs []uint64) func(i int) []profile.Frame {
	now := time.Now()
	often := now.Sub(k.asked) < busyKernel
	k.asked = now
	if k.table == nil && !often {
		if names, _, err := loader.KernelNames(addrs); err == nil {
			return func(i int) []profile.Frame {
				if names[i] == "" {
					return nil
				}
				return []profile.Frame{{Name: names[i]}}
			}
		}
	}
	if k.table == nil || now.Sub(k.read) > staleKernel && k.lacks(addrs) {
		k.read = now
		k.table = readKernel()
	}
	if k.table == nil {
		return func(int) []profile.Frame { return nil }
	}
	return func(i int) []profile.Frame { return k.table.Frames(addrs[i]) }
}

func (k *kernelNamer) lacks(addrs []uint64) bool {
	for _, a := range addrs {
		if k.table.Frames(a) == nil {
			return true
		}
	}
	return false
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

package agent

import (
	"debug/elf"
	"fmt"
	"io"
	"strings"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/probesite"
	"github.com/ebpfprof/ebpfprof/pkg/usdt"
)

// The probe that tells of a sampled allocation, with pointer, size and weight: OpenTelemetry's eBPF profiler, design 00003.
const (
	memoryProvider = "otel_memory"
	allocProbe     = "alloc"
)

// sampledProbes finds it in a file. weighed: its weights are to be used.
//
// Errors: that there are such probes, with arguments that are not in registers. Without any there is none.
func sampledProbes(r io.ReaderAt, weighed bool) ([]loader.SampledProbe, error) {
	found, err := usdt.Find(r, memoryProvider)
	if err != nil {
		return nil, err
	}
	var probes []loader.SampledProbe
	for _, f := range found {
		if f.Name != allocProbe {
			continue
		}
		if len(f.Args) != 3 || f.Args[1].Register < 0 || f.Args[2].Register < 0 {
			var args []string
			for _, a := range f.Args {
				args = append(args, a.Text)
			}
			return nil, fmt.Errorf("%s:%s has its arguments in %q: want three, of which the size and the weight are in whole registers",
				memoryProvider, allocProbe, strings.Join(args, " "))
		}
		probes = append(probes, loader.SampledProbe{
			Offset: f.Offset, Semaphore: f.Semaphore, Size: f.Args[1].Register, Weight: f.Args[2].Register,
			Weighed: weighed, Stepped: stepped(r, f.Offset),
		})
	}
	return probes, nil
}

// stepped reports whether the kernel executes the instruction at an offset out of line.
func stepped(r io.ReaderAt, offset uint64) bool {
	const longest = 16
	code := make([]byte, longest)
	n, err := r.ReadAt(code, int64(offset))
	if n == 0 {
		return err != nil
	}
	o := probesite.Options{Args: 1}
	if f, err := elf.NewFile(r); err == nil && f.Machine == elf.EM_AARCH64 {
		o.Arch = probesite.ARM64
	}
	site, err := probesite.Choose(code[:n], o)
	return err != nil || site.Offset != 0 || site.Class == probesite.Stepped
}

package loader

import (
	"errors"
	"fmt"
	"io"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// A SampledProbe is where a process says that it has sampled an allocation itself, as the probe otel_memory:alloc does.
// Each hit is a sample of the event alloc. Registers are words of the registers that the kernel saves: struct pt_regs on
// amd64, struct user_pt_regs on arm64.
type SampledProbe struct {
	Offset    uint64 // in the file, of the instruction
	Semaphore uint64 // in the file: more than 0 while somebody looks; 0: none
	Size      int    // the register with the bytes of the allocation
	Weight    int    // the register with the bytes that the sample stands for
	// Weighed: the weight is taken as it is. Else it is made of the size and the event's mean, by which the process is known to
	// sample.
	Weighed bool
	Stepped bool // the kernel does not emulate the instruction
}

func (p SampledProbe) cookie() (uint64, error) {
	const most = uint64(bpfProfSampledPROF_SAMPLED_REGISTER)
	if p.Size < 0 || p.Weight < 0 || uint64(p.Size) >= most || uint64(p.Weight) >= most {
		return 0, fmt.Errorf("registers %d and %d: no such registers", p.Size, p.Weight)
	}
	c := uint64(p.Size) | uint64(p.Weight)<<bpfProfSampledPROF_SAMPLED_WEIGHT_SHIFT
	if p.Weighed {
		c |= uint64(bpfProfSampledPROF_SAMPLED_WEIGHED)
	}
	if p.Stepped {
		c |= uint64(bpfProfSampledPROF_SAMPLED_STEPPED)
	}
	return c, nil
}

// ProbeSampled puts probes on the places of a file where processes say that they have sampled an allocation; pid 0: in every
// process that maps the file, now or later. Samples are of targets only. As ProbeAllocs otherwise.
func (s *Sampler) ProbeSampled(pid int, file string, probes []SampledProbe) (io.Closer, error) {
	a := s.alloc
	if a == nil {
		return nil, errors.New("probe sampled allocations: no event alloc")
	}
	exe, err := link.OpenExecutable(file)
	if err != nil {
		return nil, fmt.Errorf("probe sampled allocations in %s: %w", file, err)
	}
	l := &allocLink{owner: a}
	for _, p := range probes {
		k, err := a.probeSampled(exe, pid, p)
		if err != nil {
			l.Close()
			return nil, fmt.Errorf("%w: probe sampled allocations in %s: %w", ErrKernel, file, err)
		}
		l.links = append(l.links, k)
	}
	if !a.keep(l) {
		l.Close()
		return nil, fmt.Errorf("probe sampled allocations in %s: %w", file, ErrStopped)
	}
	return l, nil
}

func (a *alloc) probeSampled(exe *link.Executable, pid int, p SampledProbe) (link.Link, error) {
	cookie, err := p.cookie()
	if err != nil {
		return nil, err
	}
	if !a.multi {
		return exe.Uprobe("", a.sampled, &link.UprobeOptions{Address: p.Offset, Cookie: cookie, PID: pid, RefCtrOffset: p.Semaphore})
	}
	o := &link.UprobeMultiOptions{Addresses: []uint64{p.Offset}, Cookies: []uint64{cookie}, PID: uint32(pid)}
	if p.Semaphore != 0 {
		o.RefCtrOffsets = []uint64{p.Semaphore}
	}
	return exe.UprobeMulti(nil, a.sampled, o)
}

// keep notes links, for stop; false: it was called before.
func (a *alloc) keep(l *allocLink) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return false
	}
	a.links[l] = true
	return true
}

// chooseSampled leaves the program for such probes that this kernel takes.
func chooseSampled(spec *ebpf.CollectionSpec, p allocPlan) {
	if p.event < 0 || !p.multi {
		delete(spec.Programs, bpfProgSampledMulti)
	}
	if p.event < 0 || p.multi {
		delete(spec.Programs, bpfProgSampledProbe)
	}
}

func sampledProgram(coll *ebpf.Collection, p allocPlan) *ebpf.Program {
	if p.multi {
		return coll.Programs[bpfProgSampledMulti]
	}
	return coll.Programs[bpfProgSampledProbe]
}

// weighed reports whether a sample has a weight of the process's own, and if so, how many allocations that is of.
func weighed(s *Sample) bool {
	size := float64(s.enabled)
	if size == 0 {
		return false
	}
	s.enabled = 0
	s.Objects = float64(s.Weight) / size
	return true
}

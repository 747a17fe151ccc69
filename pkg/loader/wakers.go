package loader

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"unsafe"
)

// InterruptComm is the name of a waker that is no thread: an interrupt, whatever it interrupted.
const InterruptComm = "interrupt"

// wakers are the stacks of who woke threads, until the samples of those come.
type wakers struct {
	stacks         begun
	sample         Sample // reused
	found, missing atomic.Uint64
}

// WakerCounts is of the samples of waits that were seen to end.
type WakerCounts struct {
	Found   uint64 // with Sample.Waker
	Missing uint64 // without: what woke the thread was not seen, or its record found no room
}

// Wakers counts wakers so far. Safe for concurrent use.
func (s *Sampler) Wakers() WakerCounts {
	if s.offcpu == nil {
		return WakerCounts{}
	}
	return WakerCounts{Found: s.offcpu.wakers.found.Load(), Missing: s.offcpu.wakers.missing.Load()}
}

func (w *wakers) put(raw []byte) error {
	if len(raw) < sampleBytes {
		return fmt.Errorf("decode waker: %d bytes, want at least %d", len(raw), sampleBytes)
	}
	h := (*bpfProfSample)(unsafe.Pointer(unsafe.SliceData(raw)))
	w.stacks.put(uint32(h.Weight), raw)
	return nil
}

// join gives a sample the stack of who ended its wait, whose record has that time.
func (o *offCPU) join(s *Sample, timeNs uint64) {
	s.Waker = nil
	raw := o.wakers.stacks.take(uint32(s.TID), timeNs)
	if raw == nil || decodeSample(raw, &o.wakers.sample) != nil {
		return
	}
	w := &o.wakers.sample
	names := o.waits.name(w.Kernel)
	w.Kernel = w.Kernel[min(wakingDepth(names), len(w.Kernel)):]
	if end := interruptEnd(names); end > 0 {
		w.Kernel = w.Kernel[:max(end-(len(names)-len(w.Kernel)), 0)]
		w.User, w.VMAs, w.Skipped, w.End, w.Comm = w.User[:0], w.VMAs[:0], 0, EndNoUser, append(w.Comm[:0:0], InterruptComm...)
	}
	s.Waker = w
}

// countWaker is told of each sample of a wait that is delivered.
func (o *offCPU) countWaker(s *Sample) {
	switch {
	case !o.options.Wakers || s.waiting:
	case s.Waker != nil:
		o.wakers.found.Add(1)
	default:
		o.wakers.missing.Add(1)
	}
}

// wakingDepth is the number of frames, of a stack leaf first, before the function that wakes threads: the profiler's own.
func wakingDepth(names []string) int {
	return max(slices.Index(names, "try_to_wake_up"), 0)
}

// interruptEntries are the kernel's functions by which interrupts come in: of x86, since 5.8, and of arm64, since 5.12 and before.
var interruptEntries = []string{"asm_sysvec_", "asm_common_interrupt", "el1h_64_irq", "el0t_64_irq", "el1_irq", "el0_irq"}

// interruptEnd is the number of frames that are an interrupt's, with its entry; 0: the stack is of what a thread did.
func interruptEnd(names []string) int {
	end := 0
	for i, name := range names {
		entry := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
		if slices.ContainsFunc(interruptEntries, entry) {
			end = i + 1
		} else if end > 0 {
			break // el1h_64_irq_handler comes before el1h_64_irq
		}
	}
	return end
}

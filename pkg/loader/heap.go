package loader

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// A HeapWhat says what became of a sampled allocation, or of a process.
type HeapWhat uint32

// What may become of them.
const (
	HeapFreed  = HeapWhat(bpfProfHeapWhatPROF_HEAP_FREED)
	HeapReused = HeapWhat(bpfProfHeapWhatPROF_HEAP_REUSED) // its memory was handed out again: it was freed unseen
	HeapFailed = HeapWhat(bpfProfHeapWhatPROF_HEAP_FAILED) // the allocator had none
	HeapFull   = HeapWhat(bpfProfHeapWhatPROF_HEAP_FULL)   // no room to remember its pointer
	HeapExec   = HeapWhat(bpfProfHeapWhatPROF_HEAP_EXEC)   // the process has become another program: all that it had is gone
	HeapExit   = HeapWhat(bpfProfHeapWhatPROF_HEAP_EXIT)   // the process has ended
)

// A HeapID names a sample of the event heap: Sample.TID and Sample.Time.
type HeapID struct {
	TID  int
	Time time.Duration
}

// A HeapNote is told of what was sampled before.
type HeapNote struct {
	What HeapWhat
	At   time.Duration // CLOCK_MONOTONIC
	ID   HeapID        // of an allocation
	// Of a process: its number as in Sample.PID, and Sample.StartNs.
	PID     int
	StartNs uint64
}

// A HeapHandler is a Handler that takes notes of the event heap, on Run's goroutine. A note comes after the sample that it
// is of. Notes that find no room in the ring are missing, and counted: Sampler.LiveAllocs tells what is left.
type HeapHandler interface {
	Handler
	Heap(HeapNote)
}

// heap is the running side of the event heap.
type heap struct {
	program *ebpf.Program
	hooks   []*ebpf.Program
	lives   *ebpf.Map
	counts  *ebpf.Map
}

// uprobeSession is BPF_TRACE_UPROBE_SESSION (include/uapi/linux/bpf.h, d920179b3d48, 6.13).
const uprobeSession = 57

// canSeeFrees reports what the kernel lacks for the event heap.
func canSeeFrees(spec *btf.Spec, p allocPlan) error {
	var e *btf.Enum
	if err := spec.TypeByName("bpf_attach_type", &e); err != nil {
		return fmt.Errorf("%w: event %s: %w", ErrKernel, HeapName, err)
	}
	for _, v := range e.Values {
		if v.Name == "BPF_TRACE_UPROBE_SESSION" && p.alone {
			return nil
		}
	}
	return fmt.Errorf("%w: event %s of programs that are not Go's: no probes of single returns (since 6.13); -e %s tells who allocates",
		ErrKernel, HeapName, allocName)
}

// configureHeap leaves the programs and the memory that the event heap needs.
func configureHeap(spec *ebpf.CollectionSpec, p allocPlan) {
	if p.event >= 0 && p.heap {
		return
	}
	for _, name := range []string{bpfProgLiveSession, bpfProgLiveExec, bpfProgLiveExit} {
		delete(spec.Programs, name)
	}
	for _, name := range []string{bpfMapLives, bpfMapLiveFilters, bpfMapPendings, bpfMapLiveCounts} {
		delete(spec.Maps, name)
	}
}

func newHeap(coll *ebpf.Collection) *heap {
	return &heap{
		program: coll.Programs[bpfProgLiveSession], lives: coll.Maps[bpfMapLives], counts: coll.Maps[bpfMapLiveCounts],
		hooks: []*ebpf.Program{coll.Programs[bpfProgLiveExec], coll.Programs[bpfProgLiveExit]},
	}
}

// hookHeap attaches what tells of processes.
func (s *Sampler) hookHeap() error {
	if s.alloc.heap == nil {
		return nil
	}
	for _, p := range s.alloc.heap.hooks {
		l, err := link.AttachTracing(link.TracingOptions{Program: p})
		if err != nil {
			return fmt.Errorf("%w: event %s: attach %s: %w", ErrKernel, HeapName, p, err)
		}
		s.hooks = append(s.hooks, l)
	}
	return nil
}

// descriptor is a link that is nothing but a file descriptor.
type descriptor int

func (d descriptor) Close() error { return unix.Close(int(d)) }

// probe puts probes on functions of a file for one process. cilium/ebpf v0.22 loads programs of this type, and has no way
// to attach them: this is BPF_LINK_CREATE of union bpf_attr.
func (h *heap) probe(pid int, file string, probes []AllocProbe) (io.Closer, error) {
	if len(probes) == 0 {
		return nil, errors.New("probe allocations: no functions")
	}
	var at, cookies []uint64
	for _, p := range probes {
		at, cookies = append(at, p.Offset), append(cookies, p.cookie())
	}
	path, err := unix.BytePtrFromString(file)
	if err != nil {
		return nil, fmt.Errorf("probe allocations in %s: %w", file, err)
	}
	attr := struct {
		programFD, targetFD, attachType, flags uint32
		path, offsets, refCounters, cookies    unsafe.Pointer
		count, multiFlags, pid, pad            uint32
	}{
		programFD: uint32(h.program.FD()), attachType: uprobeSession,
		path: unsafe.Pointer(path), offsets: unsafe.Pointer(&at[0]), cookies: unsafe.Pointer(&cookies[0]),
		count: uint32(len(at)), pid: uint32(pid),
	}
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_LINK_CREATE, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	runtime.KeepAlive(at)
	runtime.KeepAlive(cookies)
	runtime.KeepAlive(path)
	switch {
	case errno == unix.ESRCH:
		return nil, fmt.Errorf("probe process %d: %w", pid, errors.Join(unix.ENOENT, errno))
	case errno != 0:
		return nil, fmt.Errorf("%w: probe allocations in %s: %w", ErrKernel, file, errno)
	}
	return descriptor(fd), nil
}

// tellHeap hands a record on.
func tellHeap(raw []byte, h Handler) error {
	to, ok := h.(HeapHandler)
	if !ok {
		return nil
	}
	if len(raw) < int(unsafe.Sizeof(bpfProfHeap{})) {
		return fmt.Errorf("read ring: heap record of %d bytes", len(raw))
	}
	r := (*bpfProfHeap)(unsafe.Pointer(unsafe.SliceData(raw)))
	n := HeapNote{What: HeapWhat(r.What), At: time.Duration(r.AtNs)}
	if n.What == HeapExec || n.What == HeapExit {
		n.PID, n.StartNs = int(r.Tid), r.TimeNs
	} else {
		n.ID = HeapID{int(r.Tid), time.Duration(r.TimeNs)}
	}
	to.Heap(n)
	return nil
}

// HeapCounts are of the event heap, of all CPUs since Start.
type HeapCounts struct {
	Freed    uint64 // sampled allocations that were
	Reused   uint64 // freed unseen: their memory was handed out again
	Failed   uint64 // calls that failed
	Full     uint64 // sampled allocations whose frees cannot be seen: no room
	Unsent   uint64 // notes for which the ring had no room
	Unpaired uint64 // returns of calls that are not known
}

// HeapCounts sums those of all CPUs.
func (s *Sampler) HeapCounts() (HeapCounts, error) {
	var c HeapCounts
	var perCPU []bpfProfLiveCounts
	if err := s.alloc.heap.counts.Lookup(uint32(0), &perCPU); err != nil {
		return c, fmt.Errorf("read counts of frees: %w", err)
	}
	for _, n := range perCPU {
		c.Freed += n.Freed
		c.Reused += n.Reused
		c.Failed += n.Failed
		c.Full += n.Full
		c.Unsent += n.Unsent
		c.Unpaired += n.Unpaired
	}
	return c, nil
}

// LiveAllocs calls f with each sampled allocation that was not seen freed, and the process that made it. What f returns
// true for is forgotten: its frees are not told any more. It may miss some, or tell of some twice, while probes are in place.
func (s *Sampler) LiveAllocs(f func(id HeapID, pid int) (forget bool)) error {
	h := s.alloc.heap
	var cursor ebpf.MapBatchCursor
	const batch = 4096
	keys, values := make([]bpfProfLiveKey, batch), make([]bpfProfLive, batch)
	var dead []bpfProfLiveKey
	for {
		n, err := h.lives.BatchLookup(&cursor, keys, values, nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("read live allocations: %w", err)
		}
		for i := range n {
			if f(HeapID{int(values[i].Tid), time.Duration(values[i].TimeNs)}, int(values[i].Tgid)) {
				dead = append(dead, keys[i])
			}
		}
		if err != nil {
			break
		}
	}
	for i := range dead {
		if err := h.lives.Delete(&dead[i]); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("forget live allocations: %w", err)
		}
	}
	return nil
}

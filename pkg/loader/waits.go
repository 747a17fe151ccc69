package loader

import (
	"hash/maphash"
	"strings"
	"unsafe"
)

// A Wait is what a thread waited in, by the kernel's functions on its stack.
type Wait uint8

// Waits.
const (
	WaitUnknown Wait = iota // no names of kernel functions, or not waiting for anything: in a run queue
	WaitOther
	WaitFutex
	WaitEpoll
	WaitPoll
	WaitNanosleep
	WaitPipe
	WaitSocket
	WaitAccept
	WaitIO
	WaitPagefault
	WaitLock // the kernel's own: mutexes and semaphores
	WaitChild
	WaitSignal
	WaitIOUring
	waitsEnd
)

var waitNames = [waitsEnd]string{
	"", "other", "futex", "epoll", "poll", "nanosleep", "pipe", "socket", "accept", "io", "pagefault", "lock", "wait4", "signal", "io_uring",
}

// String is the label wait; "" for WaitUnknown.
func (w Wait) String() string {
	if w < waitsEnd {
		return waitNames[w]
	}
	return ""
}

// Idle reports whether threads with nothing to do wait like that: pools of them hide what matters. A futex may be a
// contended lock, or a pool's parking place: it is no idle wait by itself.
func (w Wait) Idle() bool {
	switch w {
	case WaitEpoll, WaitPoll, WaitNanosleep, WaitAccept, WaitChild, WaitSignal, WaitIOUring:
		return true
	}
	return false
}

// The tag of an off-cpu sample: 3 bits of Doing, 5 of Wait.
const waitShift = 3

// OffCPUTag takes a sample's tag apart.
func OffCPUTag(tag uint16) (Doing, Wait) {
	return Doing(tag & (1<<waitShift - 1)), Wait(tag >> waitShift)
}

// prefixes are looked for in every function, leaf first. The first function that has one decides.
var waitPrefixes = []struct {
	prefix string
	wait   Wait
}{
	{"futex_", WaitFutex}, {"__futex_", WaitFutex}, {"do_futex", WaitFutex},
	{"ep_poll", WaitEpoll}, {"do_epoll_", WaitEpoll},
	{"do_poll", WaitPoll}, {"poll_schedule_timeout", WaitPoll}, {"do_sys_poll", WaitPoll}, {"do_select", WaitPoll},
	{"do_nanosleep", WaitNanosleep}, {"hrtimer_nanosleep", WaitNanosleep},
	{"pipe_", WaitPipe}, {"anon_pipe_", WaitPipe}, {"fifo_open", WaitPipe},
	{"inet_csk_accept", WaitAccept}, {"unix_accept", WaitAccept}, {"do_accept", WaitAccept},
	{"sk_wait_data", WaitSocket}, {"sk_stream_wait", WaitSocket}, {"unix_stream_", WaitSocket}, {"unix_dgram_", WaitSocket},
	{"unix_wait_for_peer", WaitSocket}, {"__skb_wait_for_more_packets", WaitSocket}, {"inet_stream_connect", WaitSocket},
	{"__inet_stream_connect", WaitSocket}, {"tcp_", WaitSocket}, {"sock_", WaitSocket}, {"netlink_", WaitSocket},
	{"io_schedule", WaitIO}, {"folio_wait", WaitIO}, {"wait_on_page", WaitIO}, {"blk_", WaitIO}, {"submit_bio_wait", WaitIO},
	{"__wait_on_buffer", WaitIO}, {"jbd2_", WaitIO}, {"io_cqring_wait", WaitIOUring},
	{"__mutex_lock", WaitLock}, {"mutex_lock", WaitLock}, {"rwsem_", WaitLock}, {"down_", WaitLock}, {"__down", WaitLock},
	{"rt_mutex_", WaitLock}, {"percpu_rwsem_wait", WaitLock},
	{"do_wait", WaitChild}, {"kernel_wait4", WaitChild}, {"__do_wait", WaitChild},
	{"sigsuspend", WaitSignal}, {"do_sigtimedwait", WaitSignal}, {"__do_sys_pause", WaitSignal}, {"do_signal_stop", WaitSignal},
	{"handle_mm_fault", WaitPagefault}, {"do_user_addr_fault", WaitPagefault}, {"exc_page_fault", WaitPagefault},
	{"do_page_fault", WaitPagefault}, {"filemap_fault", WaitPagefault},
}

// classifyWait decides by the names of a kernel stack, leaf first.
func classifyWait(names []string) Wait {
	wait := WaitUnknown
	for _, name := range names {
		if name == "" {
			continue
		}
		if wait == WaitUnknown {
			wait = WaitOther
		}
		for _, p := range waitPrefixes {
			if !strings.HasPrefix(name, p.prefix) {
				continue
			}
			// Reading a page in is I/O, and of a fault if there was one above it.
			if p.wait != WaitIO && p.wait != WaitLock {
				return p.wait
			}
			if wait == WaitOther {
				wait = p.wait
			}
			break
		}
	}
	return wait
}

// schedulerDepth is the number of frames before the scheduler's: the profiler's own, where the stack was read within it.
func schedulerDepth(names []string) int {
	for i, name := range names {
		if name == "__schedule" || name == "schedule" {
			return i
		}
	}
	return 0
}

// waits classifies kernel stacks. A stack's names are asked for once.
type waits struct {
	names  *KernelNamer
	failed bool // before 5.14: no wait is known
	byAddr map[uint64]string
	known  map[uint64]waitKind // by hash of the stack
	seed   maphash.Seed
}

type waitKind struct {
	wait Wait
	skip int
}

const maxWaitStacks, maxWaitAddrs = 16 << 10, 64 << 10

// of returns what a kernel stack waits in, and how many of its frames to leave out.
func (w *waits) of(kernel []uint64) waitKind {
	if len(kernel) == 0 || w.failed {
		return waitKind{}
	}
	if w.known == nil {
		w.known, w.seed = map[uint64]waitKind{}, maphash.MakeSeed()
	}
	hash := maphash.Bytes(w.seed, unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(kernel))), len(kernel)*8))
	if k, ok := w.known[hash]; ok {
		return k
	}
	names := w.name(kernel)
	if names == nil {
		return waitKind{}
	}
	k := waitKind{wait: classifyWait(names), skip: schedulerDepth(names)}
	if len(w.known) >= maxWaitStacks {
		clear(w.known)
	}
	w.known[hash] = k
	return k
}

// name returns the names of a kernel stack's functions, or nil.
func (w *waits) name(kernel []uint64) []string {
	if w.failed {
		return nil
	}
	if w.byAddr == nil {
		w.byAddr = map[uint64]string{}
	}
	if w.names == nil {
		var err error
		if w.names, err = OpenKernelNamer(); err != nil {
			w.failed = true
			return nil
		}
	}
	var missing []uint64
	for _, a := range kernel {
		if _, ok := w.byAddr[a]; !ok {
			missing = append(missing, a)
		}
	}
	if len(missing) > 0 {
		found, _, err := w.names.Names(missing)
		if err != nil {
			return nil
		}
		if len(w.byAddr) > maxWaitAddrs {
			clear(w.byAddr)
			return w.name(kernel)
		}
		for i, a := range missing {
			w.byAddr[a] = found[i]
		}
	}
	names := make([]string, len(kernel))
	for i, a := range kernel {
		names[i] = w.byAddr[a]
	}
	return names
}

func (w *waits) close() {
	if w.names != nil {
		w.names.Close()
		w.names = nil
	}
}

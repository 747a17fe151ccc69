package goheap

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

// Options say which process to read. Cache may be nil.
type Options struct {
	FS    proc.FS
	PID   int
	Cache *Cache
}

// A Process is a running Go program whose profiles can be read, any number of
// times. It holds one descriptor, of /proc/PID/mem, which stays that of this very
// run of this program: another process with the same ID is never read. Its methods
// may be called concurrently; they wait for each other.
type Process struct {
	pid    int
	name   string
	id     proc.FileID
	layout *Layout
	bias   uint64

	mu      sync.Mutex
	mem     *os.File
	started clock // when Open was
}

// Open finds the runtime's variables in a process, which needs ptrace access to it
// (the same user, or CAP_SYS_PTRACE), but does not attach. The error is
// proc.ErrNoProcess or ErrUnsupported in its chain, or that of the kernel. Close
// the Process.
func Open(o Options) (*Process, error) {
	p, err := open(o)
	if err != nil {
		return nil, fmt.Errorf("read Go runtime of process %d: %w", o.PID, err)
	}
	return p, nil
}

func open(o Options) (*Process, error) {
	root := o.FS.Proc
	if root == "" {
		root = "/proc"
	}
	p := &Process{pid: o.PID, started: readClock()}
	// First of all: what the other files say may be of a later program, and then the
	// checks of what is read here fail.
	mem, err := os.Open(root + "/" + strconv.Itoa(o.PID) + "/mem")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return nil, proc.ErrNoProcess
	}
	if err != nil {
		return nil, err
	}
	p.mem = mem
	if err := p.locate(o); err != nil {
		mem.Close()
		return nil, err
	}
	return p, nil
}

func (p *Process) locate(o Options) error {
	file, name, id, err := o.FS.OpenProgram(o.PID)
	if err != nil {
		return err
	}
	defer file.Close()
	p.name, p.id = name, id
	if p.layout, err = o.Cache.layout(id, file); err != nil {
		return err
	}
	start, err := o.FS.StartVector(o.PID)
	if err != nil {
		return err
	}
	p.bias, err = p.layout.bias(start.Entry)
	return err
}

// Name returns the path of the program as the kernel shows it.
func (p *Process) Name() string { return p.name }

// File identifies the program's file, whose addresses all records have.
func (p *Process) File() proc.FileID { return p.id }

// Layout tells where the runtime's variables are. The caller must not change it.
func (p *Process) Layout() *Layout { return p.layout }

// Close does not undo Enable.
func (p *Process) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mem == nil {
		return nil
	}
	err := p.mem.Close()
	p.mem = nil
	return err
}

// at returns the address of a variable in the process; 0 when it was not found.
func (p *Process) at(v variable) uint64 {
	if p.layout.addrs[v] == 0 {
		return 0
	}
	return p.layout.addrs[v] + p.bias
}

// memory returns a fresh view of the process. The lock must be held.
func (p *Process) memory() (*memory, error) {
	if p.mem == nil {
		return nil, fs.ErrClosed
	}
	return newMemory(p.mem), nil
}

// Heap reads the memory profile. The error has ErrDisabled in its chain when the
// program does not sample, ErrUnsupported when what is there is not understood,
// ErrGone when the process has ended.
func (p *Process) Heap() (*Heap, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h, err := p.heap()
	if err != nil {
		return nil, p.failed("memory", err)
	}
	return h, nil
}

func (p *Process) heap() (*Heap, error) {
	m, err := p.memory()
	if err != nil {
		return nil, err
	}
	rate, err := p.rate(m)
	if err != nil {
		return nil, err
	}
	depth, err := p.depth(m)
	if err != nil {
		return nil, err
	}
	buckets, values, stats, err := readHeap(m, p.at)
	if err != nil {
		return nil, err
	}
	return &Heap{Rate: rate, Depth: depth, Records: records(buckets, values, p.bias), Stats: stats}, nil
}

// rate reads MemProfileRate, or the reason why there is no profile.
func (p *Process) rate(m *memory) (int64, error) {
	v, err := m.u64(p.at(memProfileRate))
	if err != nil || int64(v) > 0 {
		return int64(v), err
	}
	var off [1]byte
	if err := m.readAt(off[:], p.at(disableMemoryProfiling)); err != nil {
		return 0, err
	}
	if off[0] != 0 {
		return 0, disabled("nothing in it calls runtime.MemProfile, so the linker switched it off; importing net/http/pprof or runtime/pprof keeps it")
	}
	return 0, disabled(fmt.Sprintf("it set runtime.MemProfileRate to %d", int64(v)))
}

// defaultDepth is that of all profiles until Go 1.22.
const defaultDepth = 32

func (p *Process) depth(m *memory) (int, error) {
	addr := p.at(stackDepth)
	if addr == 0 {
		return defaultDepth, nil
	}
	v, err := m.u32(addr)
	return int(min(v, maxDepth)), err
}

func (p *Process) failed(what string, err error) error {
	return fmt.Errorf("read %s profile of process %d (%s): %w", what, p.pid, orUnknown(p.layout.GoVersion), err)
}

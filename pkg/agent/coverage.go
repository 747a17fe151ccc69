package agent

import (
	"cmp"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/ebpfprof/ebpfprof/pkg/allocator"
	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

// An Uncovered process, or part of one, was not sampled by the helper.
type Uncovered struct {
	PID    int    `json:"pid"`
	Comm   string `json:"comm"`
	Reason string `json:"reason"`
}

// A preloadFile is an object file that was looked into once.
type preloadFile struct {
	file   *os.File              // nil: it has no probes
	probes []loader.SampledProbe // of the process's own sampler
	failed error
	// allocates: it has functions of an allocator, so that a program that it is the file of does not call the helper's.
	allocates, asked bool
}

type preloadProcess struct {
	startTicks uint64
	comm       string
	covered    bool
	reason     string // why it is not, or what of it is not
	looks      int    // without the helper, one after the other
	samples    bool   // it has a sampler of its own, with probes on it in own as long as we look
	own        map[proc.FileID]io.Closer
}

// leastLooks without the helper make a process one that does not have it: the dynamic linker may not have come to it.
const leastLooks = 2

// follow takes up children, and what processes have mapped since.
func (p *Preloaded) follow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	var alive []int
	for pid, q := range p.processes {
		if now, err := p.fs.Process(pid); err != nil || now.StartTicks != q.startTicks {
			p.drop(pid)
			continue
		}
		alive = append(alive, pid)
	}
	if len(alive) == 0 {
		return
	}
	all, err := p.fs.Descendants(alive...)
	if err != nil {
		return // one of them has gone: the next time is soon
	}
	for _, pid := range all {
		p.add(pid)
	}
}

// drop forgets a process that has ended. mu is held.
func (p *Preloaded) drop(pid int) {
	q := p.processes[pid]
	p.release(q)
	delete(p.processes, pid)
	if q.tells() && len(p.gone) < maxAllocProcesses {
		p.gone = append(p.gone, Uncovered{pid, q.comm, q.reason})
	}
}

func (q *preloadProcess) tells() bool {
	return q.reason != "" && (q.covered || q.looks >= leastLooks)
}

// release takes the probes on a process's own sampler away.
func (p *Preloaded) release(q *preloadProcess) {
	for id, c := range q.own {
		c.Close()
		delete(q.own, id)
	}
}

// add looks at what a process maps. mu is held.
func (p *Preloaded) add(pid int) {
	q := p.processes[pid]
	now, err := p.fs.Process(pid)
	if err != nil {
		return
	}
	if q == nil {
		if len(p.processes) >= maxAllocProcesses {
			return
		}
		q = &preloadProcess{startTicks: now.StartTicks, own: map[proc.FileID]io.Closer{}}
		p.processes[pid] = q
	}
	q.comm = now.Comm
	files, err := p.fs.Executables(pid)
	if err != nil || len(files) == 0 {
		return // gone: the next look drops it
	}
	q.reason = ""
	q.covered = slices.ContainsFunc(files, func(e proc.Executable) bool { return loader.FileID(e.ID) == p.helper.id })
	for _, e := range files {
		if loader.FileID(e.ID) != p.helper.id {
			p.takeOwn(pid, q, e)
		}
	}
	if q.covered {
		q.looks = 0
		if q.reason == "" && p.allocates(pid) {
			q.reason = "its program has an allocator in itself: what it asks that one for is not sampled"
		}
		return
	}
	if q.looks++; q.looks >= leastLooks {
		q.reason = p.why(pid)
	}
}

// takeOwn puts probes on a sampler that a process brings, in whatever file. mu is held.
func (p *Preloaded) takeOwn(pid int, q *preloadProcess, e proc.Executable) {
	f := p.look(e)
	if f == nil || q.own[e.ID] != nil {
		return
	}
	if f.failed != nil {
		q.reason = f.failed.Error()
		return
	}
	if f.file == nil {
		return
	}
	c, err := p.kernel.ProbeSampled(pid, fmt.Sprintf("/proc/self/fd/%d", f.file.Fd()), f.probes)
	switch {
	case err == nil:
		if !q.samples {
			q.samples = true
			p.owners++
		}
		q.own[e.ID] = c
	case errors.Is(err, os.ErrNotExist), errors.Is(err, loader.ErrStopped): // the process has gone; we go
	case p.failure == nil:
		p.failure = fmt.Errorf("process %d, %s: %w", pid, e.Hint.Path, err)
	}
}

// look reads a file once. mu is held.
func (p *Preloaded) look(e proc.Executable) *preloadFile {
	f, known := p.files[e.ID]
	if known || len(p.files) >= maxAllocFiles {
		return f
	}
	f = &preloadFile{}
	p.files[e.ID] = f
	file, _, err := p.fs.OpenObject(e.ID, e.Hint)
	if err != nil {
		return f
	}
	if f.probes, f.failed = sampledProbes(file, true); len(f.probes) == 0 {
		if errors.As(f.failed, new(*elf.FormatError)) {
			f.failed = nil // not an object file
		}
		file.Close()
		return f
	}
	f.file = file
	return f
}

// allocates reports whether a process's program brings an allocator. mu is held.
func (p *Preloaded) allocates(pid int) bool {
	file, _, id, err := p.fs.OpenProgram(pid)
	if err != nil {
		return false
	}
	defer file.Close()
	f := p.files[id]
	if f == nil {
		return false
	}
	if !f.asked {
		f.asked = true
		found, err := allocator.Find(file, false)
		f.allocates = err == nil && slices.ContainsFunc(found.Functions, func(n allocator.Function) bool {
			return n.Size != allocator.NoSize && !n.New
		})
	}
	return f.allocates
}

// why tells why a process does not have the helper.
func (p *Preloaded) why(pid int) string {
	file, _, _, err := p.fs.OpenProgram(pid)
	if err != nil {
		return "it does not have the helper"
	}
	defer file.Close()
	var st unix.Stat_t
	if unix.Fstat(int(file.Fd()), &st) == nil && st.Mode&(unix.S_ISUID|unix.S_ISGID) != 0 {
		return "it gains privileges (setuid or setgid): the dynamic linker does not take LD_PRELOAD"
	}
	if static, err := isStatic(file); err == nil && static {
		return "a static program: no library can be put in front of its own functions"
	}
	if !slices.ContainsFunc(p.fs.Preloads(pid), func(path string) bool {
		return len(path) >= len(p.helper.path) && path[len(path)-len(p.helper.path):] == p.helper.path
	}) {
		return "it was started without LD_PRELOAD"
	}
	return "its dynamic linker did not take the helper"
}

// isStatic reports whether a program asks for no dynamic linker.
func isStatic(r io.ReaderAt) (bool, error) {
	f, err := elf.NewFile(r)
	if err != nil {
		return false, err
	}
	return !slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }), nil
}

// uncovered lists what was not sampled, by process. mu is held.
func (p *Preloaded) uncovered() []Uncovered {
	out := slices.Clone(p.gone)
	for pid, q := range p.processes {
		if q.tells() {
			out = append(out, Uncovered{pid, q.comm, q.reason})
		}
	}
	slices.SortFunc(out, func(a, b Uncovered) int { return cmp.Compare(a.PID, b.PID) })
	return out
}

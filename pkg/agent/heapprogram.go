package agent

import (
	"fmt"
	"os"

	"github.com/ebpfprof/ebpfprof/pkg/goheap"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
	"github.com/ebpfprof/ebpfprof/pkg/symbolize"
)

// A heapProgram names the addresses of a program's file, each once: the same stacks are in every reading. It is a
// goheap.Namer, and not safe for concurrent use.
type heapProgram struct {
	file   *os.File
	object *symbolize.Object
	name   string
	frames map[uint64][]profile.Frame
}

// maxHeapFrames bounds the names that a program keeps, some 100 bytes each: four of the largest profiles that were seen.
const maxHeapFrames = 64 << 10

// openHeapProgram opens the program of a process if it is still the file that id names.
func openHeapProgram(fs proc.FS, pid int, id proc.FileID) (*heapProgram, error) {
	file, name, opened, err := fs.OpenProgram(pid)
	if err != nil {
		return nil, err
	}
	if opened != id {
		file.Close()
		return nil, fmt.Errorf("process %d: %w", pid, goheap.ErrGone)
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, err
	}
	object, err := symbolize.NewObject(file, info.Size())
	if err != nil {
		file.Close()
		return nil, err
	}
	return &heapProgram{file: file, object: object, name: name, frames: map[uint64][]profile.Frame{}}, nil
}

// Frames names an address.
func (p *heapProgram) Frames(vaddr uint64) []profile.Frame {
	f, ok := p.frames[vaddr]
	if !ok {
		if len(p.frames) >= maxHeapFrames {
			clear(p.frames)
		}
		f = p.object.Frames(vaddr)
		p.frames[vaddr] = f
	}
	return f
}

// Mapping describes the segment that an address lies in.
func (p *heapProgram) Mapping(vaddr uint64, file string) profile.Mapping {
	return p.object.Mapping(vaddr, file)
}

func (p *heapProgram) close() {
	p.object.Release()
	p.file.Close()
}

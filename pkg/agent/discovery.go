package agent

import (
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

// A discovery opens files as stacks touch them, and has their unwind tables compiled. It is of the reading goroutine.
type discovery struct {
	fs        proc.FS
	objects   *objects
	announce  func(loader.FileID) // asks to be told of a file again; may be nil
	unwinding *unwinding          // nil: frame pointers only
	looked    time.Time           // when unwinding was asked last
}

// lookInterval is how often unwinding is asked for objects that want their tables back.
const lookInterval = time.Second

// tick asks for the announcement of files whose tables the kernel lost: it does not tell of a file twice by itself.
func (d *discovery) tick() {
	if d.unwinding == nil || d.announce == nil || time.Since(d.looked) < lookInterval {
		return
	}
	d.looked = time.Now()
	for _, id := range d.unwinding.due() {
		d.announce(id)
	}
}

// file opens a file that a stack touches.
func (d *discovery) file(f loader.File) {
	file, settled := d.objects.open(f)
	if file != nil && d.unwinding != nil {
		d.unwinding.add(f.ID, file)
	}
	if !settled && d.announce != nil {
		d.announce(f.ID)
	}
}

// close ends compiling and closes the files. It waits for the table being compiled for a time.
func (d *discovery) close(limit time.Duration) {
	if d.unwinding != nil {
		d.unwinding.close(limit)
		d.unwinding = nil
	}
	d.objects.close()
}

package agent

import (
	"os"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
	"github.com/ebpfprof/ebpfprof/pkg/symbolize"
)

// maxOpenFiles bounds the descriptors that objects hold; Go has raised the soft limit to the hard one.
const maxOpenFiles = 4096

// maxOpenTries is how often a file that could not be opened is asked for again.
const maxOpenTries = 3

type object struct {
	id    loader.FileID
	file  *os.File // nil: not to be had
	name  string   // path, "" when not known
	tries int
}

// objects holds each file that stacks touch once.
type objects struct {
	fs      proc.FS
	indexes map[loader.FileID]int
	list    []*object // from firstFile on
	opened  int
}

func newObjects(fs proc.FS) *objects {
	return &objects{fs: fs, indexes: map[loader.FileID]int{}}
}

// index is the object's number in frames; unknownIndex when there is no number left.
func (t *objects) index(id loader.FileID) int {
	if i, ok := t.indexes[id]; ok {
		return i
	}
	i := firstFile + len(t.list)
	if i >= maxObjects {
		return unknownIndex
	}
	t.list = append(t.list, &object{id: id})
	t.indexes[id] = i
	return i
}

// open takes a descriptor of f, and returns it if it is new. settled is false when a later try may succeed.
func (t *objects) open(f loader.File) (file *os.File, settled bool) {
	i := t.index(f.ID)
	if i == unknownIndex {
		return nil, true
	}
	o := t.list[i-firstFile]
	if o.file != nil || t.opened >= maxOpenFiles {
		return nil, true
	}
	o.tries++
	file, name, err := t.fs.OpenObject(
		proc.FileID{Dev: f.ID.Dev, Ino: f.ID.Ino, MtimeSec: f.ID.MtimeSec},
		proc.FileHint{PID: f.PID, Start: f.Start, End: f.End, Path: f.Path, Size: f.Size})
	if err != nil {
		o.name = f.Path
		return nil, o.tries >= maxOpenTries
	}
	o.file, o.name = file, name
	t.opened++
	return file, true
}

// object opens the file of an index for naming; nil when it cannot be.
func (o *object) parse() *symbolize.Object {
	if o.file == nil {
		return nil
	}
	info, err := o.file.Stat()
	if err != nil {
		return nil
	}
	obj, err := symbolize.NewObject(o.file, info.Size())
	if err != nil {
		return nil // no ELF file: its frames keep their module and offset
	}
	return obj
}

func (t *objects) close() {
	for _, o := range t.list {
		if o.file != nil {
			o.file.Close()
			o.file = nil
		}
	}
}

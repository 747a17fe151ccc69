package agent

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

const (
	// maxOpenFiles bounds the descriptors that objects hold; Go has raised the soft limit to the hard one.
	maxOpenFiles = 4096
	// maxOpenTries is how often a file that could not be opened is asked for again at once.
	maxOpenTries = 3
	// maxRetryWindows bounds the time after which a file that could not be opened is tried again.
	maxRetryWindows = 64
	// maxWanted bounds the files that wait to be opened.
	maxWanted = 256
)

// An object is a file that stacks touch.
type object struct {
	id     loader.FileID
	serial uint32 // never given twice: names are kept under it

	// Of the reading goroutine.
	generation uint32 // in which number is valid
	number     int
	used       uint32 // window in which a stack touched it last
	tries      int
	retry      uint32 // window from which on it may be opened again
	open       bool
	wanted     bool
	path       string // as the kernel knows it
	size       int64

	mu     sync.Mutex
	file   *heldFile // nil: not to be had
	name   string    // path to show, "" when not known
	broken bool      // no object file: there is nothing to name
}

// objects holds each file that stacks touch once, and gives those of a generation numbers for frames. It is of the
// reading goroutine, but for what an object guards by itself.
type objects struct {
	fs         proc.FS
	limit      int // of descriptors
	reopen     bool
	byID       map[loader.FileID]*object
	list       []*object // of this generation, from firstFile on
	generation uint32
	window     uint32 // counts windows
	serial     uint32
	opened     int
	refused    uint64 // files that were not opened for want of a descriptor
	wanted     []loader.File
}

func newObjects(fs proc.FS) *objects {
	return &objects{fs: fs, limit: maxOpenFiles, byID: map[loader.FileID]*object{}, generation: 1, serial: firstSerial}
}

// index is the object's number in frames; unknownIndex when there is no number left.
func (t *objects) index(id loader.FileID) int {
	o := t.byID[id]
	if o != nil && o.generation == t.generation {
		o.used = t.window
		return o.number
	}
	n := firstFile + len(t.list)
	if n >= maxObjects {
		return unknownIndex
	}
	if o == nil {
		t.serial++
		o = &object{id: id, serial: t.serial}
		t.byID[id] = o
	}
	o.generation, o.number, o.used = t.generation, n, t.window
	t.list = append(t.list, o)
	return n
}

// touch is index for a mapping in a sample. An object whose file is closed is noted, to be opened by who runs it.
func (t *objects) touch(v *loader.VMA, pid int) int {
	i := t.index(v.File)
	if i == unknownIndex || !t.reopen {
		return i
	}
	o := t.list[i-firstFile]
	if !o.open && !o.wanted && o.retry <= t.window && len(t.wanted) < maxWanted {
		o.wanted = true
		t.wanted = append(t.wanted, loader.File{ID: o.id, PID: pid, Start: v.Start, End: v.End, Path: o.path, Size: o.size})
	}
	return i
}

// open takes a descriptor of f, unless there is one, and returns it; it stays the object's. settled is false when a
// later try may succeed.
func (t *objects) open(f loader.File) (file *heldFile, settled bool) {
	i := t.index(f.ID)
	if i == unknownIndex {
		return nil, true
	}
	o := t.list[i-firstFile]
	o.wanted = false
	if o.open {
		return o.file, true // only this goroutine sets it
	}
	if t.opened >= t.limit && !t.closeUnused() {
		t.refused++
		o.retry = t.window + 1
		return nil, true
	}
	if f.Path != "" {
		o.path = f.Path
	}
	if f.Size != 0 {
		o.size = f.Size
	}
	o.tries++
	got, name, err := t.fs.OpenObject(
		proc.FileID{Dev: f.ID.Dev, Ino: f.ID.Ino, MtimeSec: f.ID.MtimeSec},
		proc.FileHint{PID: f.PID, Start: f.Start, End: f.End, Path: f.Path, Size: f.Size})
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		if o.name == "" {
			o.name = f.Path
		}
		o.retry = t.window + uint32(min(maxRetryWindows, 1<<min(o.tries-1, 6)))
		return nil, o.tries >= maxOpenTries
	}
	o.file, o.name, o.open, o.tries = newHeldFile(got), name, true, 0
	t.opened++
	return o.file, true
}

// takeWanted returns the files that samples asked for.
func (t *objects) takeWanted() []loader.File {
	w := t.wanted
	t.wanted = nil
	return w
}

// closeUnused closes the eighth of the descriptors that were not used for longest, but none that this window uses. It
// reports whether there were any.
func (t *objects) closeUnused() bool {
	var idle []*object
	for _, o := range t.byID {
		if o.open && o.used < t.window {
			idle = append(idle, o)
		}
	}
	slices.SortFunc(idle, func(a, b *object) int { return cmp.Compare(a.used, b.used) })
	for _, o := range idle[:min(len(idle), max(1, t.limit/8))] {
		t.shut(o)
	}
	return len(idle) > 0
}

// closeOlder closes the descriptors that no stack has touched for some windows.
func (t *objects) closeOlder(windows uint32) {
	for _, o := range t.byID {
		if o.open && t.window-o.used > windows {
			t.shut(o)
		}
	}
}

func (t *objects) shut(o *object) {
	o.mu.Lock()
	file := o.file
	o.file, o.open = nil, false
	o.mu.Unlock()
	o.retry = 0
	t.opened--
	file.release()
}

// renumber begins a generation: numbers start again, and objects that no stack has touched for some windows are
// forgotten. Lists that were given out stay as they are.
func (t *objects) renumber(windows uint32) {
	t.generation++
	t.list = nil
	for id, o := range t.byID {
		if t.window-o.used > windows {
			if o.open {
				t.shut(o)
			}
			delete(t.byID, id)
		}
	}
}

func (t *objects) close() {
	for _, o := range t.byID {
		if o.open {
			t.shut(o)
		}
	}
}

// acquire returns the object's file, held for the caller; nil without one.
func (o *object) acquire() *heldFile {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.file == nil || o.broken {
		return nil
	}
	return o.file.hold()
}

// readable reports whether there is a file to read names from.
func (o *object) readable() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.file != nil && !o.broken
}

func (o *object) setBroken() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.broken = true
}

// display is the name of an object's mapping.
func (o *object) display() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.name != "" {
		return o.name
	}
	return fmt.Sprintf("[inode %d:%d]", o.id.Dev, o.id.Ino)
}

func (o *object) isBroken() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.broken
}

package agent

import (
	"os"
	"sync/atomic"
)

// A heldFile is a descriptor that several goroutines read from: it is closed when the last of them lets go. Whoever has
// one holds it.
type heldFile struct {
	*os.File
	holders atomic.Int32
}

func newHeldFile(f *os.File) *heldFile {
	h := &heldFile{File: f}
	h.holders.Store(1)
	return h
}

// hold is for who has f already and passes it on.
func (f *heldFile) hold() *heldFile {
	f.holders.Add(1)
	return f
}

func (f *heldFile) release() {
	if f.holders.Add(-1) == 0 {
		f.Close()
	}
}

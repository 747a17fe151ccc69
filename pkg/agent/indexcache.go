package agent

import "github.com/ebpfprof/ebpfprof/pkg/symbolize"

// maxIndexes bounds the objects whose indexes are kept, and so the descriptors that they hold.
const maxIndexes = 64

// An indexCache keeps the symbol indexes that were used last, up to limit bytes: a program that runs for long has a few
// new addresses in every window, and building an index costs more than all of them. The zero value keeps none.
type indexCache struct {
	limit int64
	held  map[uint32]*heldIndex // by serial of the object
	clock uint64
}

type heldIndex struct {
	object *symbolize.Object
	file   *heldFile // held
	used   uint64
}

// take returns what is kept of an object, nil without anything. It is the caller's until give.
func (c *indexCache) take(serial uint32) *heldIndex {
	h := c.held[serial]
	delete(c.held, serial)
	return h
}

// give keeps an index, and drops those that were used longest ago to stay within the limit.
func (c *indexCache) give(serial uint32, h *heldIndex) {
	if c.held == nil {
		c.held = map[uint32]*heldIndex{}
	}
	c.clock++
	h.used = c.clock
	c.held[serial] = h
	for {
		var sum int64
		oldest, found := uint32(0), false
		for s, h := range c.held {
			sum += h.object.MemoryBytes()
			if !found || h.used < c.held[oldest].used {
				oldest, found = s, true
			}
		}
		if !found || sum <= c.limit && len(c.held) <= maxIndexes {
			return
		}
		c.take(oldest).drop()
	}
}

func (c *indexCache) close() {
	for _, h := range c.held {
		h.drop()
	}
	c.held = nil
}

func (h *heldIndex) drop() {
	h.object.Release()
	h.file.release()
}

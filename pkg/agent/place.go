package agent

import (
	"unique"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// A place is a named frame. It is not changed once others have it, but for owner and at.
type place struct {
	profile.LiveLocation // Addr is in the object file; a kernel address as it is

	root   bool // a thread starts here
	jit    bool
	gap    bool // stands for no address
	waker  bool // the stack of a waker begins here
	unread bool // the object's file was not to be had: worth another try

	owner *locator // that gave the place a number last; of the one goroutine that builds profiles
	at    int32
}

// Serials of what is no file, in keys of places.
const (
	kernelSerial = iota
	vdsoSerial
	firstSerial
)

// A placeKey names a frame beyond its generation.
type placeKey struct {
	serial uint32 // of the object
	offset uint64
}

// A placeCache keeps the places that were used last: at least half of limit, at most limit. The zero value keeps none.
type placeCache struct {
	limit      int
	young, old map[placeKey]*place
}

func (c *placeCache) get(k placeKey) *place {
	if p := c.young[k]; p != nil {
		return p
	}
	p := c.old[k]
	if p != nil {
		delete(c.old, k)
		c.put(k, p)
	}
	return p
}

func (c *placeCache) put(k placeKey, p *place) {
	if c.limit == 0 {
		return
	}
	if len(c.young) >= c.limit/2 {
		c.old, c.young = c.young, nil
	}
	if c.young == nil {
		c.young = map[placeKey]*place{}
	}
	c.young[k] = p
}

func (c *placeCache) len() int { return len(c.young) + len(c.old) }

// intern lets equal names share their bytes: one function has many addresses.
func intern(frames []profile.Frame) []profile.Frame {
	for i := range frames {
		f := &frames[i]
		f.Name, f.SystemName, f.File = share(f.Name), share(f.SystemName), share(f.File)
	}
	return frames
}

func share(s string) string {
	if s == "" {
		return ""
	}
	return unique.Make(s).Value()
}

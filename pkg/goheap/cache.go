package goheap

import (
	"errors"
	"os"
	"sync"

	"github.com/ebpfprof/ebpfprof/pkg/proc"
	"github.com/ebpfprof/ebpfprof/pkg/symbolize"
)

// maxLayouts is how many program files a Cache remembers, some 200 bytes each.
const maxLayouts = 4096

// A Cache remembers where the runtime's variables are in each program file, and of
// which files that cannot be said. The zero value is empty; nil remembers nothing.
// Safe for concurrent use.
type Cache struct {
	mu      sync.Mutex
	layouts map[proc.FileID]located
}

type located struct {
	layout *Layout
	err    error
}

// layout returns what is known of a file, or finds out.
func (c *Cache) layout(id proc.FileID, file *os.File) (*Layout, error) {
	if c != nil {
		c.mu.Lock()
		l, ok := c.layouts[id]
		c.mu.Unlock()
		if ok {
			return l.layout, l.err
		}
	}
	var l located
	l.layout, l.err = locateFile(file)
	if c != nil && (l.err == nil || errors.Is(l.err, ErrUnsupported)) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.layouts == nil {
			c.layouts = map[proc.FileID]located{}
		}
		for old := range c.layouts { // any one
			if len(c.layouts) < maxLayouts {
				break
			}
			delete(c.layouts, old)
		}
		c.layouts[id] = l
	}
	return l.layout, l.err
}

func locateFile(file *os.File) (*Layout, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	obj, err := symbolize.NewObject(file, info.Size())
	if err != nil {
		return nil, unsupported("%v", err)
	}
	defer obj.Release()
	l, err := Locate(file, obj)
	if err != nil {
		return nil, err
	}
	return l, nil
}

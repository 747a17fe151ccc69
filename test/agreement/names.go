package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ebpfprof/ebpfprof/pkg/symbolize"
)

// names names addresses of a process that lives.
type names struct {
	pid     int
	maps    []mapping
	objects map[string]*symbolize.Object // by path; nil when it cannot be read
	known   map[uint64]string
}

type mapping struct {
	lo, hi, offset uint64
	path           string
	code           bool
}

func newNames(pid int) *names {
	n := &names{pid: pid, objects: map[string]*symbolize.Object{}, known: map[uint64]string{}}
	n.read()
	return n
}

func (n *names) read() {
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", n.pid))
	if err != nil {
		return // it has ended: what was read before stays
	}
	defer f.Close()
	n.maps = nil
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var m mapping
		var perm, dev, ino string
		if k, _ := fmt.Sscanf(sc.Text(), "%x-%x %s %x %s %s %s", &m.lo, &m.hi, &perm, &m.offset, &dev, &ino, &m.path); k >= 6 {
			m.code = strings.Contains(perm, "x")
			n.maps = append(n.maps, m)
		}
	}
}

// code reports whether an address lies in executable memory.
func (n *names) code(addr uint64) bool {
	m, ok := n.mapping(addr)
	return ok && m.code
}

func (n *names) mapping(addr uint64) (mapping, bool) {
	for range 2 {
		for _, m := range n.maps {
			if addr >= m.lo && addr < m.hi {
				return m, true
			}
		}
		n.read()
	}
	return mapping{}, false
}

// name is function and file of an address, without the place in the function, so that equal cases can be counted.
func (n *names) name(addr uint64) string {
	s, ok := n.known[addr]
	if !ok {
		s = n.lookUp(addr)
		n.known[addr] = s
	}
	return s
}

func (n *names) lookUp(addr uint64) string {
	m, ok := n.mapping(addr)
	switch {
	case !ok:
		return "no memory"
	case !strings.HasPrefix(m.path, "/"):
		return "[" + strings.Trim(m.path, "[]") + "]"
	}
	return n.function(m, addr-m.lo+m.offset) + " (" + filepath.Base(m.path) + ")"
}

func (n *names) function(m mapping, offset uint64) string {
	o, ok := n.objects[m.path]
	if !ok {
		if f, err := os.Open(m.path); err == nil { // open until we end
			if info, err := f.Stat(); err == nil {
				o, _ = symbolize.NewObject(f, info.Size())
			}
		}
		n.objects[m.path] = o
	}
	if o != nil {
		if vaddr, ok := o.Address(offset); ok {
			if frames := o.Frames(vaddr); len(frames) > 0 {
				return frames[len(frames)-1].Name
			}
		}
	}
	return fmt.Sprintf("+%#x", offset)
}

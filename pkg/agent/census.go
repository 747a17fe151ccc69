package agent

import (
	"fmt"
	"sync/atomic"

	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

// A census lists the processes that live, and whose they are. It asks that once for each process, and anew when it goes by
// another name or the rules have changed. take is not safe for concurrent use.
type census struct {
	fs       proc.FS
	targets  Targets
	identify Identifier

	renew   atomic.Bool
	members map[heapKey]member
}

// A member is a process at the last census. Those that rules leave out are members too.
type member struct {
	proc.Footprint
	Identity
}

// take lists every target but kernel threads.
func (c *census) take() (map[heapKey]member, error) {
	pids, err := c.targets.Processes(c.fs)
	if err != nil {
		return nil, fmt.Errorf("list targets: %w", err)
	}
	before := c.members
	if c.renew.Swap(false) {
		before = nil
	}
	c.members = make(map[heapKey]member, len(pids))
	for _, pid := range pids {
		p, err := c.fs.Footprint(pid)
		if err != nil || p.KernelThread {
			continue
		}
		key := heapKey{p.PID, p.StartTicks}
		m, known := before[key]
		if !known || m.Comm != p.Comm {
			m.Identity = c.identify(p.PID, p.StartTicks)
		}
		m.Footprint = p
		if m.OK {
			c.members[key] = m
		}
	}
	return c.members, nil
}

package loader

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// FilterKind says what a process must be to be a target.
type FilterKind uint32

// Kinds of filters.
const (
	FilterNone    = FilterKind(bpfProfFilterPROF_FILTER_NONE)
	FilterProcess = FilterKind(bpfProfFilterPROF_FILTER_PROCESS)
	FilterComm    = FilterKind(bpfProfFilterPROF_FILTER_COMM)
	FilterCgroup  = FilterKind(bpfProfFilterPROF_FILTER_CGROUP)
)

// A Filter selects targets in the kernel. The zero value selects every process.
type Filter struct {
	Kind FilterKind
	// Comm decides on thread names with FilterComm. The kernel asks once for each name.
	Comm func(comm string) bool
	// CgroupHierarchy is 0 for v2, else the ID in the first field of /proc/PID/cgroup.
	CgroupHierarchy int
	// Cgroups are the kernel's IDs: the inode numbers of the directories. What is below is included.
	Cgroups []uint64
}

const namespacedKey = 1 << 31 // PROF_KEY_NAMESPACED in maps.h

// install fills the maps that the filter needs and attaches its hooks.
func (s *Sampler) install() error {
	for _, id := range s.filter.Cgroups {
		if err := s.coll.Maps[bpfMapCgroups].Put(id, uint8(1)); err != nil {
			return fmt.Errorf("enter cgroup %d as a target: %w", id, err)
		}
	}
	for _, name := range []string{bpfProgTargetFork, bpfProgTargetFree} {
		p := s.coll.Programs[name]
		if p == nil {
			continue
		}
		l, err := link.AttachTracing(link.TracingOptions{Program: p})
		if err != nil {
			return fmt.Errorf("%w: attach %s: %w", ErrKernel, name, err)
		}
		s.hooks = append(s.hooks, l)
	}
	return nil
}

// AddTarget makes a process, and every child that it forks from now on, a target. pid is as seen in the profiler's
// PID namespace; startTicks is field 22 of /proc/PID/stat, or 0 for whoever has that number.
func (s *Sampler) AddTarget(pid int, startTicks uint64) error {
	if err := addTarget(s.coll.Maps[bpfMapTargets], s.inner, pid, startTicks); err != nil {
		return err
	}
	if s.offcpu != nil {
		if err := s.coll.Variables[bpfVarFilterGeneration].Set(s.filters.Add(1)); err != nil {
			return fmt.Errorf("announce process %d as a target: %w", pid, err)
		}
		if _, err := s.offcpu.visit(false); err != nil { // its threads are taken up
			return err
		}
	}
	return nil
}

func addTarget(targets *ebpf.Map, inner bool, pid int, startTicks uint64) error {
	key := uint32(pid)
	if inner {
		key |= namespacedKey
	}
	if err := targets.Put(key, &bpfProfTarget{StartTicks: startTicks}); err != nil {
		return fmt.Errorf("enter process %d as a target: %w", pid, err)
	}
	return nil
}

// decide answers for a name that the kernel did not know, and tells the kernel.
func (s *Sampler) decide(comm [16]uint8) bool {
	yes := s.filter.Comm(commString(comm[:]))
	v := uint8(0)
	if yes {
		v = 1
	}
	// A failure costs the kernel another question, no sample.
	_ = s.coll.Maps[bpfMapComms].Put(&bpfProfCommKey{Comm: comm}, v)
	return yes
}

// Reannounce makes the kernel tell of a file again, with the next stack that touches it: the process that it told of
// had gone before the file could be opened.
func (s *Sampler) Reannounce(id FileID) {
	// Fails if the kernel has evicted it, which serves as well.
	_ = s.coll.Maps[bpfMapFiles].Delete(&bpfProfFileId{Dev: id.Dev, Ino: id.Ino, Mtime: id.MtimeSec})
}

// HasTargets reports whether any process is in the map of targets.
func (s *Sampler) HasTargets() bool {
	var key uint32
	return s.coll.Maps[bpfMapTargets].NextKey(nil, &key) == nil
}

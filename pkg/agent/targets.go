package agent

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

// Targets says what to profile. At most one field is set; the zero value is every process.
type Targets struct {
	PIDs      []int
	Comm      *regexp.Regexp // matches thread names anywhere in them
	Cgroup    string
	Container string // ID, unique prefix of one, or name
	Unit      string
	Child     bool // the process that a later Sampler.AddTarget names
}

// Filter turns targets into what the kernel can check.
func (t Targets) Filter(fs proc.FS) (loader.Filter, error) {
	switch {
	case len(t.PIDs) > 0:
		for _, pid := range t.PIDs {
			if _, err := fs.Process(pid); err != nil {
				return loader.Filter{}, fmt.Errorf("no process %d: %w", pid, err)
			}
		}
		return loader.Filter{Kind: loader.FilterProcess}, nil
	case t.Child:
		return loader.Filter{Kind: loader.FilterProcess}, nil
	case t.Comm != nil:
		return loader.Filter{Kind: loader.FilterComm, Comm: t.Comm.MatchString}, nil
	case t.Cgroup != "":
		ref, err := fs.ResolveCgroup(t.Cgroup)
		return cgroupFilter([]proc.CgroupRef{ref}, err)
	case t.Unit != "":
		ref, err := fs.ResolveUnit(t.Unit)
		return cgroupFilter([]proc.CgroupRef{ref}, err)
	case t.Container != "":
		return cgroupFilter(fs.ResolveContainer(t.Container))
	}
	return loader.Filter{}, nil
}

// cgroupFilter takes the groups of one hierarchy: a container has one in each, with the same processes.
func cgroupFilter(refs []proc.CgroupRef, err error) (loader.Filter, error) {
	if err != nil {
		return loader.Filter{}, err
	}
	if len(refs) == 0 {
		return loader.Filter{}, errors.New("no cgroup found")
	}
	f := loader.Filter{Kind: loader.FilterCgroup, CgroupHierarchy: refs[0].Hierarchy}
	for _, ref := range refs {
		if ref.Hierarchy == f.CgroupHierarchy {
			f.Cgroups = append(f.Cgroups, ref.ID)
		}
	}
	return f, nil
}

// A TargetAdder is a loader.Sampler or loader.Counting.
type TargetAdder interface {
	AddTarget(pid int, startTicks uint64) error
}

// Seed enters the processes that are targets already, and their descendants. Children that are born from now on
// the kernel follows; a child born before its parent was entered is found by looking again. A fourth look would find
// only children of parents that the kernel knows.
func (t Targets) Seed(fs proc.FS, s TargetAdder) error {
	if len(t.PIDs) == 0 && t.Comm == nil {
		return nil
	}
	known := map[int]bool{}
	for range seedLooks {
		roots, err := t.roots(fs)
		if err != nil {
			return err
		}
		all, err := fs.Descendants(roots...)
		if err != nil && !errors.Is(err, proc.ErrNoProcess) { // one that died meanwhile
			return err
		}
		grown := false
		for _, pid := range all {
			if known[pid] {
				continue
			}
			p, err := fs.Process(pid)
			if err != nil {
				continue // gone meanwhile
			}
			if err := s.AddTarget(pid, p.StartTicks); err != nil {
				return err
			}
			known[pid], grown = true, true
		}
		if !grown {
			break
		}
	}
	return nil
}

const seedLooks = 3

// Processes lists the targets that live now, sorted, kernel threads among them. extra are further processes, such as the
// one that Child stands for; they and named ones come with their descendants.
func (t Targets) Processes(fs proc.FS, extra ...int) ([]int, error) {
	switch {
	case len(t.PIDs) > 0 || t.Comm != nil || t.Child:
		roots, err := t.roots(fs)
		if err != nil {
			return nil, err
		}
		all, err := fs.Descendants(append(slices.Clone(roots), extra...)...)
		if errors.Is(err, proc.ErrNoProcess) { // one that died meanwhile
			err = nil
		}
		return all, err
	case t.Cgroup != "":
		ref, err := fs.ResolveCgroup(t.Cgroup)
		return cgroupPIDs(fs, []proc.CgroupRef{ref}, err)
	case t.Unit != "":
		ref, err := fs.ResolveUnit(t.Unit)
		return cgroupPIDs(fs, []proc.CgroupRef{ref}, err)
	case t.Container != "":
		refs, err := fs.ResolveContainer(t.Container)
		return cgroupPIDs(fs, refs, err)
	}
	return fs.PIDs()
}

func cgroupPIDs(fs proc.FS, refs []proc.CgroupRef, err error) ([]int, error) {
	if err != nil {
		return nil, err
	}
	var all []int
	for _, ref := range refs {
		pids, err := fs.CgroupPIDs(ref)
		if err != nil {
			return nil, err
		}
		all = append(all, pids...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

func (t Targets) roots(fs proc.FS) ([]int, error) {
	if t.Comm == nil {
		return t.PIDs, nil
	}
	pids, err := fs.PIDs()
	if err != nil {
		return nil, err
	}
	var roots []int
	for _, pid := range pids {
		if p, err := fs.Process(pid); err == nil && t.Comm.MatchString(p.Comm) {
			roots = append(roots, pid)
		}
	}
	return roots, nil
}

package agent

import (
	"cmp"
	"slices"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

const (
	// surveyed is how many processes are asked what they run.
	surveyed = 64
	// commonObjects of those that most processes share are compiled before anything is sampled: the C library, the
	// loader, and what else any new process is likely to map. The rest is compiled when a stack touches it.
	commonObjects = 4
)

// prepare compiles the unwind tables of what pids run, and of what most processes share. It returns when that is done, or
// after limit.
func (d *discovery) prepare(limit time.Duration, pids ...int) {
	if d.unwinding == nil {
		return
	}
	for _, pid := range pids {
		own, err := d.fs.Executables(pid)
		if err != nil {
			continue // gone, or not ours to see
		}
		for _, e := range append(own, d.fs.Needed(pid)...) {
			d.announced(e)
		}
	}
	for _, e := range d.common() {
		d.announced(e)
	}
	d.unwinding.settle(limit)
}

func (d *discovery) announced(e proc.Executable) {
	d.file(loader.File{
		ID:  loader.FileID{Dev: e.ID.Dev, Ino: e.ID.Ino, MtimeSec: e.ID.MtimeSec},
		PID: e.Hint.PID, Start: e.Hint.Start, End: e.Hint.End, Size: e.Hint.Size, Path: e.Hint.Path,
	})
}

// common returns the files that the most of some processes run code from, most shared first.
func (d *discovery) common() []proc.Executable {
	pids, err := d.fs.PIDs()
	if err != nil {
		return nil
	}
	slices.Reverse(pids) // new processes are more like the next than old ones
	users := map[proc.FileID]int{}
	var all []proc.Executable
	asked := 0
	for _, pid := range pids {
		if asked == surveyed {
			break
		}
		files, err := d.fs.Executables(pid)
		if err != nil || len(files) == 0 {
			continue // gone, or a kernel thread
		}
		asked++
		for _, e := range files {
			if users[e.ID]++; users[e.ID] == 1 {
				all = append(all, e)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b proc.Executable) int { return cmp.Compare(users[b.ID], users[a.ID]) })
	shared := slices.IndexFunc(all, func(e proc.Executable) bool { return users[e.ID] < 2 })
	if shared < 0 {
		shared = len(all)
	}
	return all[:min(shared, commonObjects)]
}

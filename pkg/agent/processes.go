package agent

import (
	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

// nsPerTick is a unit of the start time in /proc/PID/stat (USER_HZ = 100).
const nsPerTick = 10_000_000

type processKey struct {
	pid     int
	startNs uint64
}

type process struct {
	pid       int
	service   string // "" when the process had gone before it could be asked
	container string
}

// processes holds each process that was sampled once. A number that was used again is another process.
type processes struct {
	fs   proc.FS
	ids  map[processKey]uint32
	list []process
}

func newProcesses(fs proc.FS) *processes {
	return &processes{fs: fs, ids: map[processKey]uint32{}}
}

func (t *processes) add(s *loader.Sample) uint32 {
	key := processKey{s.PID, s.StartNs}
	if id, ok := t.ids[key]; ok {
		return id
	}
	p := process{pid: s.PID}
	if info, err := t.fs.Process(s.PID); err == nil && info.StartTicks == s.StartNs/nsPerTick {
		p.service, p.container = t.fs.Service(s.PID)
	}
	id := uint32(len(t.list))
	t.list = append(t.list, p)
	t.ids[key] = id
	return id
}

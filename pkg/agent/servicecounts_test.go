package agent

import (
	"testing"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/loader/perfevent"
)

func countRow(pid int, comm string, cgroup, value uint64) loader.CountRow {
	r := loader.CountRow{PID: pid, TGID: pid, StartNs: 1e9, StartTicks: 100, Comm: comm, Cgroup: cgroup}
	r.RanNs = 10
	r.Counts = []perfevent.Count{{Value: value, Enabled: 10, Running: 10}}
	return r
}

// Every count is of one service; processes that have gone are told by their control group, or their name.
func TestServiceCounts(t *testing.T) {
	asked := map[int]int{}
	alive := map[int]Identity{
		1: {Service: "web", OK: true}, 2: {Service: "db", OK: true}, 3: {Service: "web", OK: true}, 4: {Service: "batch", OK: true},
		5: {Service: "bash", OK: true},
		9: {Service: "hidden", OK: true, Drop: true},
	}
	s := NewServiceCounts(func(pid int, startTicks uint64) Identity {
		asked[pid]++
		if startTicks != 100 {
			return Identity{}
		}
		return alive[pid]
	})
	gone := func(r loader.CountRow) loader.CountRow { r.Gone = true; return r }
	stranger := countRow(0, "elsewhere", 7, 64)
	n := loader.Counted{Rows: []loader.CountRow{
		gone(countRow(50, "worker", 10, 1)),                                // of a group that is web's alone
		gone(countRow(51, "worker", 20, 2)),                                // of a group of two services
		gone(countRow(52, "make", 40, 512)), countRow(5, "bash", 40, 1024), // of a session
		countRow(1, "nginx", 10, 4), countRow(3, "logger", 10, 8),
		countRow(2, "postgres", 20, 16), countRow(4, "cron", 20, 32), stranger, countRow(9, "x", 30, 128),
	}}
	n.Other = loader.CountSet{RanNs: 5, Counts: []perfevent.Count{{Value: 256, Enabled: 5, Running: 5}}}
	got := s.Sum(n)
	for service, want := range map[string]uint64{"web": 1 + 4 + 8, "worker": 2, "db": 16, "batch": 32, "other": 64 + 256, "make": 512, "bash": 1024} {
		if len(got[service].Counts) == 0 || got[service].Counts[0].Value != want {
			t.Errorf("%s: %+v, want %d", service, got[service], want)
		}
	}
	if len(got) != 7 {
		t.Errorf("services %v", got)
	}
	// Asked once, but again when it has become another program.
	s.Sum(loader.Counted{Rows: []loader.CountRow{countRow(1, "nginx", 10, 1)}})
	if asked[1] != 1 {
		t.Errorf("asked %d times", asked[1])
	}
	alive[1] = Identity{Service: "shell", OK: true}
	if got := s.Sum(loader.Counted{Rows: []loader.CountRow{countRow(1, "sh", 10, 1)}}); got["shell"].RanNs != 10 {
		t.Errorf("after exec: %v", got)
	}
	// A number that was used again is another process.
	again := countRow(1, "sh", 99, 1)
	again.StartTicks, again.StartNs = 200, 2e9
	if got := s.Sum(loader.Counted{Rows: []loader.CountRow{again}}); got["sh"].RanNs != 10 {
		t.Errorf("a number used again: %v", got)
	}
	s.Sum(loader.Counted{Rows: []loader.CountRow{gone(countRow(1, "sh", 10, 0)), gone(again), gone(countRow(2, "postgres", 20, 0))}})
	for _, pid := range []int{1, 2} {
		for key := range s.known {
			if key.pid == pid {
				t.Errorf("process %d has gone and is remembered", pid)
			}
		}
	}
	before := asked[3]
	s.Forget()
	s.Sum(loader.Counted{Rows: []loader.CountRow{countRow(3, "logger", 10, 1)}})
	if asked[3] != before+1 {
		t.Error("nobody was asked after rules changed")
	}
}

package agent

import (
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
)

func slept(d time.Duration) (t loader.Times) {
	t.In[loader.Interruptible] = d
	t.Runqueue[2] = uint64(d)
	return t
}

// Sums of a service only grow: when a thread ends, when a reading misses it, and when all of a process has gone.
func TestServiceWaits(t *testing.T) {
	alive := map[int]Identity{1: {Service: "web", OK: true}, 2: {Service: "hidden", OK: true, Drop: true}}
	asked := 0
	s := NewServiceWaits(func(pid int, startTicks uint64) Identity {
		asked++
		if startTicks != 100 {
			t.Errorf("start %d", startTicks)
		}
		return alive[pid]
	})
	thread := func(pid, tid int, d time.Duration) loader.ThreadTimes {
		return loader.ThreadTimes{PID: pid, TID: tid, StartNs: 1e9, Comm: "c", Times: slept(d)}
	}
	ended := func(pid int, d time.Duration) loader.ProcessTimes {
		return loader.ProcessTimes{PID: pid, StartNs: 1e9, Times: slept(d)}
	}
	sum := map[string]time.Duration{}
	for i, step := range []struct {
		totals loader.OffCPUTotals
		web    time.Duration
	}{
		{loader.OffCPUTotals{Threads: []loader.ThreadTimes{thread(1, 1, 10), thread(1, 5, 20), thread(2, 2, 99)}}, 30},
		{loader.OffCPUTotals{Threads: []loader.ThreadTimes{thread(1, 1, 12)}}, 30}, // it ends just now
		{loader.OffCPUTotals{Threads: []loader.ThreadTimes{thread(1, 1, 14)}, Ended: []loader.ProcessTimes{ended(1, 21), ended(3, 7)}}, 35},
		{loader.OffCPUTotals{Ended: []loader.ProcessTimes{ended(1, 36)}}, 36},
		{loader.OffCPUTotals{}, 36},
	} {
		if i == 3 {
			delete(alive, 1)
		}
		for service, times := range s.Add(&step.totals) {
			sum[service] += times.In[loader.Interruptible]
			if uint64(times.In[loader.Interruptible]) != times.Runqueue[2] {
				t.Errorf("step %d: histogram %v", i, times)
			}
		}
		if sum["web"] != step.web {
			t.Errorf("step %d: web %d, want %d", i, sum["web"], step.web)
		}
	}
	if sum["other"] != 7 || len(sum) != 2 || len(s.known) != 0 {
		t.Errorf("sums %v, known %v", sum, s.known)
	}
	before := asked
	alive[1] = Identity{Service: "web", OK: true}
	one := loader.OffCPUTotals{Threads: []loader.ThreadTimes{thread(1, 1, 1)}}
	s.Add(&one)
	s.Add(&one)
	s.Forget()
	s.Add(&one)
	if asked != before+2 {
		t.Errorf("asked %d times, want once, and again when rules changed", asked-before)
	}
}

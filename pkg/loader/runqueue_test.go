package loader

import (
	"testing"
	"time"
)

// Times of living and ended threads of a process are one sum; another process under its number is another.
func TestProcesses(t *testing.T) {
	times := func(ns time.Duration) (v Times) {
		v.In[Runqueue] = ns
		v.Runqueue[3] = 1
		return v
	}
	totals := OffCPUTotals{
		Threads: []ThreadTimes{{PID: 1, TID: 1, StartNs: 5, Times: times(1)}, {PID: 1, TID: 2, StartNs: 5, Times: times(2)}, {PID: 1, TID: 1, StartNs: 6, Times: times(4)}},
		Ended:   []ProcessTimes{{PID: 1, StartNs: 5, Times: times(8)}},
	}
	sums := totals.Processes()
	if p := sums[ProcessID{1, 5}]; len(sums) != 2 || p.In[Runqueue] != 11 || p.Runqueue[3] != 3 {
		t.Errorf("sums %v", sums)
	}
}

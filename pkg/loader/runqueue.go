package loader

// A ProcessID names a process for ever.
type ProcessID struct {
	PID     int
	StartNs uint64 // as in Sample
}

// Processes sums the times of each process's threads, living and ended. Waits for a CPU by length are in Times.Runqueue.
func (t *OffCPUTotals) Processes() map[ProcessID]*Times {
	sums := map[ProcessID]*Times{}
	add := func(id ProcessID, times *Times) {
		if sums[id] == nil {
			sums[id] = &Times{}
		}
		sums[id].Add(times)
	}
	for i := range t.Threads {
		add(ProcessID{t.Threads[i].PID, t.Threads[i].StartNs}, &t.Threads[i].Times)
	}
	for i := range t.Ended {
		add(ProcessID{t.Ended[i].PID, t.Ended[i].StartNs}, &t.Ended[i].Times)
	}
	return sums
}

package loader

// LostMissed is the reason of overflows at which the kernel did not run our program, because another BPF program was
// running, or a map was being changed, on that CPU (bpf_prog_active in bpf_overflow_handler and trace_call_bpf).
const LostMissed = "missed"

// missed is how many overflows of an event the kernel ran no program for. It tells so itself of tracepoints only
// (recursion_misses, 5.12). Of others it is what the kernel counted less what programs were run for, less what is under
// way to the next overflow on each CPU; that may have other reasons too: perf itself gets no overflow of a context switch
// from the idle task of any CPU but the first, which the kernel counts (seen on 6.18). A clock's ticks that come late are taken together by the kernel: what is missing
// there is no overflow, and known says so.
//
// counted was read before ran, the counters of each CPU: what fires in between is not taken for missed.
func (c *cpuEvents) missed(counted map[int]uint64, ran []bpfProfCounters) (n uint64, known bool) {
	switch {
	case c.event.hasPrograms():
		return 0, false
	case c.event.isTracepoint():
		stats, err := c.program.Stats()
		if err != nil {
			return 0, false
		}
		return stats.RecursionMisses / c.event.Period, true
	case c.event.Clock():
		return 0, false
	}
	for cpu, all := range counted {
		if cpu < len(ran) && all > ran[cpu].Events {
			n += missedOf(c.event.Period, all-ran[cpu].Events, &ran[cpu])
		}
	}
	return n, true
}

// missedOf is the overflows that events stand for, of which a CPU's program saw none. An event that is sampled by
// frequency has no period: it is the mean of those so far, and one more than that may be under way.
func missedOf(period, events uint64, ran *bpfProfCounters) uint64 {
	if period != 0 {
		return events / period
	}
	overflows := ran.Fired + ran.Filtered + ran.Idle
	if overflows == 0 {
		return 0
	}
	return max(events/max(ran.Events/overflows, 1), 1) - 1
}

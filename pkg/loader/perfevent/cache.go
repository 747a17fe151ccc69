package perfevent

import "golang.org/x/sys/unix"

// Operations on a cache (enum perf_hw_cache_op_id), as a set of bits.
const (
	loads = 1 << iota
	stores
	prefetches
)

// cache are the events of PERF_TYPE_HW_CACHE, by perf's names. As in perf, there are none that no cache has, such as
// stores to the instruction cache (tools/perf/util/evsel.c, evsel__hw_cache_stat).
func cache() []Event {
	var events []Event
	for _, c := range []struct {
		name string
		id   uint64
		ops  int
	}{
		{"L1-dcache", unix.PERF_COUNT_HW_CACHE_L1D, loads | stores | prefetches},
		{"L1-icache", unix.PERF_COUNT_HW_CACHE_L1I, loads | prefetches},
		{"LLC", unix.PERF_COUNT_HW_CACHE_LL, loads | stores | prefetches},
		{"dTLB", unix.PERF_COUNT_HW_CACHE_DTLB, loads | stores | prefetches},
		{"iTLB", unix.PERF_COUNT_HW_CACHE_ITLB, loads},
		{"branch", unix.PERF_COUNT_HW_CACHE_BPU, loads},
		{"node", unix.PERF_COUNT_HW_CACHE_NODE, loads | stores | prefetches},
	} {
		for _, op := range []struct {
			bit             int
			id              uint64
			access, forMiss string
		}{
			{loads, unix.PERF_COUNT_HW_CACHE_OP_READ, "-loads", "-load-misses"},
			{stores, unix.PERF_COUNT_HW_CACHE_OP_WRITE, "-stores", "-store-misses"},
			{prefetches, unix.PERF_COUNT_HW_CACHE_OP_PREFETCH, "-prefetches", "-prefetch-misses"},
		} {
			if c.ops&op.bit == 0 {
				continue
			}
			config := c.id | op.id<<8
			events = append(events,
				Event{c.name + op.access, unix.PERF_TYPE_HW_CACHE, config | unix.PERF_COUNT_HW_CACHE_RESULT_ACCESS<<16},
				Event{c.name + op.forMiss, unix.PERF_TYPE_HW_CACHE, config | unix.PERF_COUNT_HW_CACHE_RESULT_MISS<<16})
		}
	}
	return events
}

package perfevent

import (
	"os"
	"path/filepath"
	"strings"
)

// CacheLevel is the level whose misses the events cache-references and cache-misses count on this machine's processors:
// "llc", "l2", "l1d", or "unknown". The kernel chooses it by vendor, so that the generic event is not of the last level
// everywhere:
//
//   - Intel: LONGEST_LAT_CACHE.REFERENCE and .MISS, the last level (arch/x86/events/intel/core.c, intel_perfmon_event_map);
//   - AMD since Zen: L2 requests and L2 misses of L1 fills (arch/x86/events/amd/core.c, amd_zen2_perfmon_event_map);
//   - Arm: L1D_CACHE and L1D_CACHE_REFILL, the first level (drivers/perf/arm_pmuv3.c, armv8_pmuv3_perf_map).
func CacheLevel() string { return machine{"/"}.cacheLevel() }

func (m machine) cacheLevel() string {
	info, _ := os.ReadFile(filepath.Join(m.root, "proc/cpuinfo"))
	for line := range strings.Lines(string(info)) {
		key, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(key) {
		case "CPU implementer":
			return "l1d"
		case "vendor_id":
			switch strings.TrimSpace(value) {
			case "GenuineIntel":
				return "llc"
			case "AuthenticAMD", "HygonGenuine":
				return "l2"
			}
			return "unknown"
		}
	}
	return "unknown"
}

package proc

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// maxCPU is far above the kernel's largest NR_CPUS, 8192.
const maxCPU = 1 << 16

// OnlineCPUs returns the numbers of the CPUs that are online, ascending. Numbers
// may have gaps.
func (f FS) OnlineCPUs() ([]int, error) {
	b, err := readBounded(filepath.Join(orDefault(f.Sys, "/sys"), "devices/system/cpu/online"), maxProcFile)
	if err != nil {
		return nil, err
	}
	cpus, err := parseCPUList(strings.TrimSpace(string(b)))
	if err == nil && len(cpus) == 0 {
		err = fmt.Errorf("parse CPU list: empty")
	}
	if err != nil {
		return nil, fmt.Errorf("online CPUs: %w", err)
	}
	return cpus, nil
}

// parseCPUList reads a list such as "0-3,5", the kernel's format %*pbl. The kernel
// writes it ascending and without overlaps; other order is an error.
func parseCPUList(s string) ([]int, error) {
	var cpus []int
	if s == "" {
		return nil, nil
	}
	next := uint64(0)
	for part := range strings.SplitSeq(s, ",") {
		lowText, highText, isRange := strings.Cut(part, "-")
		if !isRange {
			highText = lowText
		}
		low, err := strconv.ParseUint(lowText, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("parse CPU list: %w", err)
		}
		high, err := strconv.ParseUint(highText, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("parse CPU list: %w", err)
		}
		if low < next || high < low || high >= maxCPU {
			return nil, fmt.Errorf("parse CPU list: %q is out of order or beyond CPU %d", part, maxCPU-1)
		}
		for cpu := low; cpu <= high; cpu++ {
			cpus = append(cpus, int(cpu))
		}
		next = high + 1
	}
	return cpus, nil
}

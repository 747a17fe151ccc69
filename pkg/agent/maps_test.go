package agent

import (
	"fmt"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
)

// parseMapsLine reads an executable mapping of /proc/PID/maps.
func parseMapsLine(line string) (loader.VMA, bool) {
	var m loader.VMA
	var perms string
	n, err := fmt.Sscanf(line, "%x-%x %s %x", &m.Start, &m.End, &perms, &m.Offset)
	return m, err == nil && n == 4 && len(perms) == 4 && perms[2] == 'x'
}

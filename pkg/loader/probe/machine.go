package probe

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"syscall"
)

// maxCPUInfo is more than what /proc/cpuinfo says of the first CPU.
const maxCPUInfo = 64 << 10

// machineWithout says why a hardware event is missing on a machine whose root directory is root.
func machineWithout(root fs.FS, err error) string {
	switch {
	case hasPMU(root) && errors.Is(err, syscall.ENODEV):
		return "the PMU counts nothing: the hypervisor only pretends to have it"
	case hasPMU(root):
		return "this CPU's PMU does not count it"
	case isVirtual(root):
		return "no hardware PMU: the hypervisor passes none through"
	}
	return "no hardware PMU"
}

// hasPMU reports whether a CPU has a PMU: "cpu" on x86, several on its hybrids, "armv8_pmuv3_0" and the like on arm64.
func hasPMU(root fs.FS) bool {
	devices, err := fs.ReadDir(root, "sys/bus/event_source/devices")
	return err == nil && slices.ContainsFunc(devices, func(d fs.DirEntry) bool {
		switch d.Name() {
		case "cpu", "cpu_core", "cpu_atom", "cpu_lowpower":
			return true
		}
		return strings.HasPrefix(d.Name(), "armv")
	})
}

func isVirtual(root fs.FS) bool {
	if _, err := fs.Stat(root, "sys/hypervisor/type"); err == nil {
		return true
	}
	return strings.Contains(firstCPU(root), " hypervisor")
}

// firstCPU is what /proc/cpuinfo says of the first CPU.
func firstCPU(root fs.FS) string {
	f, err := root.Open("proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer f.Close()
	buf := make([]byte, maxCPUInfo)
	n, _ := f.Read(buf) // procfs gives what fits at once
	first, _, _ := strings.Cut(string(buf[:n]), "\n\n")
	return first
}

package loader

import (
	"os"
	"runtime"
	"strings"
)

// Skids of samples: how far the leaf may lie behind the instruction that caused the event.
const (
	SkidPEBS    = "pebs"    // none: Intel's PEBS stores the instruction
	SkidIBS     = "ibs"     // none: AMD's IBS tags an instruction
	SkidUnknown = "unknown" // tens of instructions: the interrupt comes when it can
)

// Skid says how precise the samples of the event of that number in Options.Events are, once it was started; "" for
// events that software raises, whose leaf is exact.
func (s *Sampler) Skid(event int) string {
	e := s.events[event]
	if !e.event.Hardware() {
		return ""
	}
	cpuinfo, _ := os.ReadFile("/proc/cpuinfo") // without it nothing is claimed
	return skidOf(runtime.GOARCH, string(cpuinfo), e.precision())
}

func skidOf(arch, cpuinfo string, precise int) string {
	if arch != "amd64" || precise == 0 {
		return SkidUnknown
	}
	for line := range strings.Lines(cpuinfo) {
		key, value, _ := strings.Cut(line, ":")
		if strings.TrimSpace(key) != "vendor_id" {
			continue
		}
		switch strings.TrimSpace(value) {
		case "GenuineIntel":
			return SkidPEBS
		case "AuthenticAMD", "HygonGenuine":
			return SkidIBS
		}
		break
	}
	return SkidUnknown
}

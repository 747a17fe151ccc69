package agent

import (
	"fmt"
	"os"

	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

// A Footing is what targets had in RAM at a moment.
type Footing map[heapKey]uint64

// MeasureFooting reads the targets that live now; child is one more, or 0.
func MeasureFooting(fs proc.FS, t Targets, child int) (Footing, error) {
	var extra []int
	if child != 0 {
		extra = append(extra, child)
	}
	pids, err := t.Processes(fs, extra...)
	if err != nil {
		return nil, fmt.Errorf("list targets: %w", err)
	}
	f := Footing{}
	for _, pid := range pids {
		if p, err := fs.Footprint(pid); err == nil && !p.KernelThread {
			f[heapKey{p.PID, p.StartTicks}] = p.Resident.Total
		}
	}
	return f, nil
}

// GrowthSummary compares the page faults of a recording with what the targets' memory did meanwhile. A fault is taken for
// one page: huge pages, and files of which a fault maps several pages, make the coverage less than 1; memory that was given
// back, or faults that only copied a page, more.
type GrowthSummary struct {
	GrownBytes   int64 `json:"grown_bytes"`   // resident, of processes that lived at both ends, and of those that began in between
	FaultedBytes int64 `json:"faulted_bytes"` // the faults that the samples stand for, times the size of a page
	// Coverage is faulted by grown; absent where nothing has grown.
	Coverage *float64 `json:"coverage,omitempty"`
	// Ended are targets of the start that did not live at the end: their faults are in FaultedBytes, their growth is not known.
	Ended int `json:"ended"`
}

// Growth compares two moments; faults is what the samples in between stand for.
func Growth(start, end Footing, faults int64) *GrowthSummary {
	s := &GrowthSummary{FaultedBytes: faults * int64(os.Getpagesize())}
	for key, resident := range end {
		s.GrownBytes += int64(resident) - int64(start[key])
	}
	for key := range start {
		if _, lives := end[key]; !lives {
			s.Ended++
		}
	}
	if s.GrownBytes > 0 {
		coverage := float64(s.FaultedBytes) / float64(s.GrownBytes)
		s.Coverage = &coverage
	}
	return s
}

// String says it in one line.
func (s *GrowthSummary) String() string {
	text := fmt.Sprintf("growth: resident memory of the targets %+d bytes, faults times the size of a page %d bytes", s.GrownBytes, s.FaultedBytes)
	if s.Coverage != nil {
		text += fmt.Sprintf(" (%.2f of it)", *s.Coverage)
	}
	if s.Ended > 0 {
		text += fmt.Sprintf("; %d targets had ended, and their growth is not known", s.Ended)
	}
	return text
}

package render

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

const (
	analysisSites  = 20
	analysisFrames = 12 // of a stack that made the peak, or leaks
)

// WriteHeapAnalysis writes what a recording of the heap has found, as text: the peak and what made it, leaks, who allocates.
func WriteHeapAnalysis(w io.Writer, h *prof.HeapHistory) error {
	bw := bufio.NewWriter(w)
	var alloc, inuse, objects int64
	var samples uint64
	for i := range h.Sites {
		s := &h.Sites[i]
		alloc, inuse, objects, samples = alloc+s.AllocBytes, inuse+s.InuseBytes, objects+s.AllocObjects, samples+s.Samples
	}
	fmt.Fprintf(bw, "Heap: %s, %s in use at the end, %s allocated in %s calls\n", heapPeakText(h), quantity(inuse, "bytes"), quantity(alloc, "bytes"), grouped(objects))
	fmt.Fprintf(bw, "  window %s from %s\n", h.Duration.Round(time.Millisecond), h.Start.Format(time.RFC3339))
	fmt.Fprintf(bw, "  estimated from %s samples, one per %s of allocations; %s sites\n", grouped(int64(samples)), quantity(h.Period, "bytes"), grouped(int64(len(h.Sites))))
	for _, n := range h.Notes {
		fmt.Fprintf(bw, "  %s\n", clean(n))
	}
	writePeak(bw, h)
	writeLeaks(bw, h)
	writeAllocators(bw, h, alloc)
	if err := bw.Flush(); err != nil {
		return fmt.Errorf("write heap analysis: %w", err)
	}
	return nil
}

func writePeak(w io.Writer, h *prof.HeapHistory) {
	fmt.Fprintf(w, "\nWHAT MADE THE PEAK (%s of %s)\n\n", quantity(h.Peak.Known, "bytes"), quantity(h.Peak.Bytes, "bytes"))
	for i := range h.Sites {
		s := &h.Sites[i]
		if i == analysisSites || s.PeakBytes <= 0 {
			break
		}
		fmt.Fprintf(w, "%3d. %s (%s), %s objects, in %s (%d)\n", i+1, quantity(s.PeakBytes, "bytes"), percent(s.PeakBytes, h.Peak.Known),
			grouped(s.PeakObjects), clean(s.Process), s.PID)
		writeStack(w, s)
	}
}

func writeStack(w io.Writer, s *prof.HeapSite) {
	for i, name := range s.Stack {
		if i == analysisFrames {
			fmt.Fprintf(w, "       and %d more callers\n", len(s.Stack)-i)
			break
		}
		fmt.Fprintf(w, "       %s\n", clean(name))
	}
	if len(s.Stack) == 0 {
		fmt.Fprintf(w, "       [unknown]\n")
	}
}

func writeLeaks(w io.Writer, h *prof.HeapHistory) {
	fmt.Fprintf(w, "\nLEAKS\n\n")
	if len(h.Leaks) == 0 {
		fmt.Fprintf(w, "No site is called a leak. One is, when at least 5 of its samples live that are older than twice what 99 %% of its freed\n"+
			"samples reached and than a 20th of the recording, when they began in at least three quarters of the time, the last among\n"+
			"them, and when hardly any sample that old was freed.\n")
		return
	}
	for i, l := range h.Leaks {
		if i == analysisSites {
			fmt.Fprintf(w, "and %d more sites\n", len(h.Leaks)-i)
			break
		}
		s := &h.Sites[l.Site]
		freed := "none was freed"
		if l.Freed > 0 {
			freed = grouped(int64(l.Freed)) + " samples were freed"
		}
		fmt.Fprintf(w, "%3d. %s +- %s, %s a second, %.2f %% of what it allocates, in %s (%d)\n", i+1, quantity(l.Bytes, "bytes"), quantity(l.Deviation, "bytes"),
			quantity(int64(float64(l.Bytes)/max(l.Seconds, 1e-3)), "bytes"), 100*l.Share, clean(s.Process), s.PID)
		fmt.Fprintf(w, "     %s samples live that are older than %s, the oldest %s; %s\n", grouped(int64(l.Samples)),
			l.Age.Round(time.Millisecond), l.Oldest.Round(time.Millisecond), freed)
		writeStack(w, s)
	}
}

func writeAllocators(w io.Writer, h *prof.HeapHistory, total int64) {
	fmt.Fprintf(w, "\nWHO ALLOCATES (of %s)\n\n", quantity(total, "bytes"))
	order := make([]*prof.HeapSite, len(h.Sites))
	for i := range h.Sites {
		order[i] = &h.Sites[i]
	}
	slices.SortStableFunc(order, func(a, b *prof.HeapSite) int { return cmp.Compare(b.AllocBytes, a.AllocBytes) })
	fmt.Fprintf(w, "%12s %7s %14s %12s  %s\n", "allocated", "share", "objects", "in use", "site")
	for _, s := range order[:min(len(order), analysisSites)] {
		fmt.Fprintf(w, "%12s %7s %14s %12s  %s\n", quantity(s.AllocBytes, "bytes"), percent(s.AllocBytes, total), grouped(s.AllocObjects),
			quantity(s.InuseBytes, "bytes"), clean(s.Name()))
	}
}

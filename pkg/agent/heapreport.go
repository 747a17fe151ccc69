package agent

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/goheap"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// timelineSites is how many sites have their bytes over time in a report.
const timelineSites = 12

// A HeapReport is what a recording of allocations and frees has found.
type HeapReport struct {
	Profile *pprof.Profile // as of Go's heaps: alloc_objects, alloc_space, inuse_objects, inuse_space
	History *profile.HeapHistory
	Summary LiveHeapSummary
	Stacks  Stacks
}

// LiveHeapSummary says what the event heap has seen of programs that are not Go's. Bytes and objects are estimates.
type LiveHeapSummary struct {
	Processes     int     `json:"processes"`
	PeriodBytes   int64   `json:"period_bytes"`
	AllocObjects  float64 `json:"alloc_objects"`
	AllocBytes    int64   `json:"alloc_bytes"` // while they were watched
	InuseBytes    int64   `json:"inuse_bytes"` // of what was allocated while they were watched
	PeakBytes     int64   `json:"peak_bytes"`
	PeakSeconds   float64 `json:"peak_seconds"` // from the start
	Leaks         int     `json:"leaks"`        // sites
	LeakedBytes   int64   `json:"leaked_bytes"`
	Freed         uint64  `json:"freed"`          // samples
	FreedUnseen   uint64  `json:"freed_unseen"`   // of these: their memory was handed out again
	FreesUntold   int     `json:"frees_untold"`   // of samples: the ring had no room
	Untracked     uint64  `json:"untracked"`      // samples that there was no room to follow: they are allocated, and not in use
	UnlistedSites uint64  `json:"unlisted_sites"` // samples of more sites than there is room for
	FailedCalls   uint64  `json:"failed_calls"`   // samples of calls that got nothing
	GoneByExec    uint64  `json:"gone_by_exec"`   // samples in use when their process became another program
}

// Report names every site and joins what is known. untold is what Settle returned.
func (h *HeapRecorder) Report(duration time.Duration, untold int, comments []string) HeapReport {
	end := h.begin + duration
	h.at(end)
	if h.timeline.atPeak() {
		h.timeline.keepPeak(h.list)
	}
	v := h.view(h.Recorder.objects)
	stacks := make([]uint32, 0, len(h.list))
	seen := map[uint32]bool{}
	for _, s := range h.list {
		if !seen[s.key.stack] {
			seen[s.key.stack] = true
			stacks = append(stacks, s.key.stack)
		}
	}
	var n namer
	defer n.close()
	n.name(v, stacks)
	out := HeapReport{History: h.history(v, duration, end), Stacks: Stacks{Guessed: h.guessed[h.event]}}
	out.Summary = h.summary(out.History, untold)
	out.Stacks.Value, out.Stacks.Objects = out.Summary.InuseBytes, out.Summary.AllocObjects
	o := goheap.HeapOptions(h.kinds[h.event].Period, h.start)
	out.History.Notes = append(out.Summary.notes(), comments...)
	o.Start, o.Duration, o.Comments = h.start, duration, slices.Concat(comments, out.Summary.notes(), leakComments(out.History))
	h.enter(v, &out, o)
	h.sort(out.History)
	return out
}

// enter makes the profile.
func (h *HeapRecorder) enter(v *view, out *HeapReport, o profile.BuilderOptions) {
	b := profile.NewBuilder(o)
	l := &locator{b: b}
	defer l.done()
	var buf []*place
	for i, s := range h.list {
		st := v.read(s.key.stack, v.gen.places, buf)
		buf = st.places
		out.Stacks.add(st, s.samples)
		site := &out.History.Sites[i]
		l.enter(v, s.key, h.kinds[h.event], st, v.processes[s.key.process].service,
			site.AllocObjects, site.AllocBytes, site.InuseObjects, site.InuseBytes)
	}
	out.Profile = b.Profile()
}

// history has the sites in the order of list.
func (h *HeapRecorder) history(v *view, duration, end time.Duration) *profile.HeapHistory {
	t := &h.timeline
	out := &profile.HeapHistory{
		Start: h.start, Duration: duration, Period: h.kinds[h.event].Period, Step: t.step,
		Peak: profile.HeapPeak{At: t.peakAt, Bytes: t.peak, Known: t.kept.bytes},
	}
	for _, b := range t.bins {
		out.Moments = append(out.Moments, profile.HeapMoment{Most: b.most, Last: b.last})
	}
	var buf []*place
	for i, s := range h.list {
		st := v.read(s.key.stack, v.gen.places, buf)
		buf = st.places
		site := profile.HeapSite{
			Stack: slices.Collect(st.functions), Process: v.comms[s.key.comm], PID: s.process.pid, Samples: s.samples,
			AllocBytes: int64(s.bytes), AllocObjects: int64(math.Round(s.objects)),
		}
		inuse, objects := s.inuse, s.inuseObjects
		for _, left := range s.leftover {
			inuse += int64(left.weight)
			objects += left.objects
		}
		site.InuseBytes, site.InuseObjects = inuse, int64(math.Round(objects))
		if i < len(t.kept.sites) {
			site.PeakBytes, site.PeakObjects = t.kept.sites[i].bytes, int64(math.Round(t.kept.sites[i].objects))
		}
		out.Sites = append(out.Sites, site)
	}
	out.Leaks = h.leaks(end)
	return out
}

// sort puts the sites with most at the peak first, and gives those their bytes over time.
func (h *HeapRecorder) sort(history *profile.HeapHistory) {
	order := make([]int, len(history.Sites))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		x, y := &history.Sites[a], &history.Sites[b]
		return cmp.Or(cmp.Compare(y.PeakBytes, x.PeakBytes), cmp.Compare(y.AllocBytes, x.AllocBytes), cmp.Compare(a, b))
	})
	sorted, place := make([]profile.HeapSite, len(order)), make([]int, len(order))
	for to, from := range order {
		sorted[to], place[from] = history.Sites[from], to
		if to < timelineSites {
			sorted[to].Steps = h.list[from].steps(len(history.Moments))
		}
	}
	history.Sites = sorted
	for i := range history.Leaks {
		history.Leaks[i].Site = place[history.Leaks[i].Site]
	}
}

func (h *HeapRecorder) summary(history *profile.HeapHistory, untold int) LiveHeapSummary {
	c := &h.counts
	s := LiveHeapSummary{
		Processes: len(h.processes), PeriodBytes: history.Period, PeakBytes: history.Peak.Bytes, PeakSeconds: round(history.Peak.At.Seconds()),
		Leaks: len(history.Leaks), Freed: c.freed + c.reused, FreedUnseen: c.reused, FreesUntold: untold, Untracked: c.unseen,
		UnlistedSites: c.unlisted, FailedCalls: c.failed, GoneByExec: c.exec,
	}
	for i := range history.Sites {
		s.AllocObjects += h.list[i].objects
		s.AllocBytes += history.Sites[i].AllocBytes
		s.InuseBytes += history.Sites[i].InuseBytes
	}
	for _, l := range history.Leaks {
		s.LeakedBytes += l.Bytes
	}
	return s
}

// notes say what the values are of.
func (s LiveHeapSummary) notes() []string {
	out := []string{
		"heap: what was allocated while the recording ran, and of that, what was not freed by its end or, of a process that ended before, by that",
		fmt.Sprintf("heap: peak of %d bytes at %.2f s, of allocations since the start", s.PeakBytes, s.PeakSeconds),
	}
	for _, n := range []struct {
		count uint64
		what  string
	}{
		{s.FreedUnseen, "samples were freed unseen, until their memory was handed out again"},
		{uint64(s.FreesUntold), "frees of samples were not told, for lack of room in the ring: the heap was less over time than shown"},
		{s.Untracked, "samples could not be followed, for lack of room: they are in alloc, and not in inuse"},
		{s.UnlistedSites, "samples are of more sites than are listed"},
	} {
		if n.count > 0 {
			out = append(out, fmt.Sprintf("heap: %d %s", n.count, n.what))
		}
	}
	return out
}

func leakComments(history *profile.HeapHistory) (out []string) {
	const told = 10
	for i, l := range history.Leaks {
		if i == told {
			out = append(out, fmt.Sprintf("leak: %d more sites", len(history.Leaks)-told))
			break
		}
		out = append(out, "leak: "+l.Text(history))
	}
	return out
}

package agent

import (
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

// Stacks says how whole the stacks of a profile are. Every sample is counted once under one reason.
type Stacks struct {
	ByEnd      map[string]uint64
	Frames     uint64  // addresses in all samples
	Symbolized uint64  // of these with a function's name
	Guessed    uint64  // samples with a frame that was taken by its frame pointer, for lack of a rule
	Value      int64   // of all samples, in their kind's unit
	Objects    float64 // Sample.Objects of all samples; of a Recorder
}

func (s *Stacks) add(st namedStack, samples uint64) {
	if s.ByEnd == nil {
		s.ByEnd = map[string]uint64{}
	}
	s.ByEnd[st.end.String()] += samples
	s.Frames += uint64(st.frames) * samples
	s.Symbolized += uint64(st.symbolized) * samples
}

func (s *Stacks) join(o Stacks) {
	for end, n := range o.ByEnd {
		s.ByEnd[end] += n
	}
	s.Frames += o.Frames
	s.Symbolized += o.Symbolized
	s.Guessed += o.Guessed
	s.Value += o.Value
}

// Summary is what --summary writes; its JSON is part of the outside contract.
type Summary struct {
	DurationSeconds float64                 `json:"duration_seconds"`
	StartSeconds    float64                 `json:"start_seconds"` // from our exec to the first sample; 0 without one
	CPUs            int                     `json:"cpus"`
	Events          map[string]EventSummary `json:"events"`
	Heap            *HeapSummary            `json:"heap,omitempty"` // of the event heap
	UnwindTables    UnwindStats             `json:"unwind_tables"`
	Overhead        Overhead                `json:"overhead"`
}

// EventSummary counts one event. Fired = Samples + sum(Lost), and Samples = sum(Stacks).
type EventSummary struct {
	Fired   uint64            `json:"fired"`
	Samples uint64            `json:"samples"`
	Lost    map[string]uint64 `json:"lost"`
	Stacks  map[string]uint64 `json:"stacks"`
	Frames  FrameSummary      `json:"frames"`
	// Missed counts overflows, whomever they hit, that the kernel ran no program for: in Lost where they hit targets for
	// certain. Absent where it cannot be known.
	Missed *uint64 `json:"missed,omitempty"`
	// Value is what the samples stand for, in Unit.
	Value int64  `json:"value"`
	Unit  string `json:"unit"`
	// Skid is "pebs", "ibs" or "unknown" of hardware events; see docs/events.md.
	Skid string `json:"skid,omitempty"`
	// OffCPU is of the event off-cpu.
	OffCPU *OffCPUSummary `json:"off_cpu,omitempty"`
	// Alloc is of the probes of the events alloc and heap.
	Alloc *AllocSummary `json:"alloc,omitempty"`
	// LiveHeap is of the event heap, of programs that are not Go's.
	LiveHeap *LiveHeapSummary `json:"live_heap,omitempty"`
	// Growth is of the event page-faults.
	Growth *GrowthSummary `json:"growth,omitempty"`
	// Guessed counts samples with a frame that was taken by its frame pointer, for lack of a rule.
	Guessed uint64 `json:"guessed"`
}

// FrameSummary counts the addresses of all samples.
type FrameSummary struct {
	Total      uint64 `json:"total"`
	Symbolized uint64 `json:"symbolized"`
}

// Overhead is the profiler's own cost.
type Overhead struct {
	KernelSeconds float64 `json:"kernel_seconds"` // in our BPF programs, and in the kernel for our process
	UserSeconds   float64 `json:"user_seconds"`
	RSSBytes      uint64  `json:"rss_bytes"`    // highest so far
	KernelBytes   uint64  `json:"kernel_bytes"` // of our BPF maps
}

// NewEventSummary joins what the kernel counted with what the profile holds.
func NewEventSummary(c loader.Counters, s Stacks) EventSummary {
	stacks := map[string]uint64{"complete": 0, "truncated": 0, "no_unwind_info": 0}
	for k, v := range s.ByEnd {
		stacks[k] = v
	}
	var missed *uint64
	if c.MissedKnown {
		missed = &c.Missed
	}
	return EventSummary{
		Missed: missed, Value: s.Value,
		Fired: c.Fired, Samples: c.Samples,
		Lost:    c.Lost,
		Stacks:  stacks,
		Frames:  FrameSummary{Total: s.Frames, Symbolized: s.Symbolized},
		Guessed: s.Guessed,
	}
}

// MeasureOverhead reads this process's own cost so far and adds the kernel side's.
func MeasureOverhead(programs time.Duration, kernelBytes uint64) Overhead {
	var ru unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &ru) // fails for no reason that a caller could mend
	return Overhead{
		KernelSeconds: round(programs.Seconds() + seconds(ru.Stime)),
		UserSeconds:   round(seconds(ru.Utime)),
		RSSBytes:      peakRSS(),
		KernelBytes:   kernelBytes,
	}
}

func seconds(t unix.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }

func round(s float64) float64 { return math.Round(s*1e6) / 1e6 }

// peakRSS is VmHWM: unlike ru_maxrss it does not inherit what a parent had before exec.
func peakRSS() uint64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib << 10
		}
	}
	return 0
}

// SinceStart is the time from this process's exec to t, which is CLOCK_MONOTONIC; exact to 10 ms, as /proc tells it.
func SinceStart(fs proc.FS, t time.Duration) time.Duration {
	self, err := fs.Process(os.Getpid())
	if err != nil {
		return 0
	}
	var mono, boot unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono) != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil {
		return 0
	}
	slept := time.Duration(boot.Nano() - mono.Nano()) // the clocks differ by the time the machine was suspended
	return t + slept - time.Duration(self.StartTicks*nsPerTick)
}

// Total sums all events.
func (s Summary) Total() EventSummary {
	sum := EventSummary{Lost: map[string]uint64{}, Stacks: map[string]uint64{}}
	for _, e := range s.Events {
		sum.Fired += e.Fired
		sum.Samples += e.Samples
		sum.Guessed += e.Guessed
		sum.Frames.Total += e.Frames.Total
		sum.Frames.Symbolized += e.Frames.Symbolized
		for reason, n := range e.Lost {
			sum.Lost[reason] += n
		}
		for reason, n := range e.Stacks {
			sum.Stacks[reason] += n
		}
	}
	return sum
}

// LostTotal is the sum over all reasons.
func (e EventSummary) LostTotal() uint64 {
	var n uint64
	for _, v := range e.Lost {
		n += v
	}
	return n
}

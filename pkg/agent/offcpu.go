package agent

import (
	"iter"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// Labels of the kind off_cpu.
const (
	LabelState = "state" // interruptible, uninterruptible, io, stopped or runqueue
	LabelWait  = "wait"  // what the kernel waits in: futex, epoll, io and so on; absent in a run queue
	LabelIdle  = "idle"  // "true" where a thread with nothing to do waits for work
)

// offCPUKind is the kind of the event off-cpu: a sample's weight is the time that it stands for.
func offCPUKind() Kind {
	return Kind{
		Event: "off-cpu", Type: profile.ValueType{Type: "off_cpu", Unit: "nanoseconds"},
		Labels: offCPULabels,
	}
}

func offCPULabels(tag uint16, functions iter.Seq[string]) profile.Extra {
	state, wait := loader.OffCPUTag(tag)
	labels := []profile.Label{{Key: LabelState, Value: state.String()}, {Key: LabelWait, Value: wait.String()}}
	if state != loader.Runqueue && (wait.Idle() || parked(functions)) {
		labels = append(labels, profile.Label{Key: LabelIdle, Value: "true"})
	}
	return profile.NewExtra(labels...)
}

// parkingPlaces are functions in which the threads of a pool wait for work. The kernel sees a futex, or a wait with a
// timeout, as of a contended lock.
func parkingPlaces(name string) bool {
	switch name {
	case "runtime.findRunnable", "runtime.stopm", "runtime.sysmon", "runtime.templateThread", "runtime.bgscavenge",
		"Unsafe_Park", "std::sys::thread::park", "std::thread::park", "uv__io_poll":
		return true
	}
	return false
}

func parked(functions iter.Seq[string]) bool {
	for name := range functions {
		if parkingPlaces(name) {
			return true
		}
	}
	return false
}

// OffCPUSummary is what is exactly known of the time in which targets did not run.
type OffCPUSummary struct {
	Threads int                           `json:"threads"` // that lived when sampling ended
	States  map[string]OffCPUStateSummary `json:"states"`
	// ExactSeconds is the sum of all states, and what the profile has: see Recorder.FitOffCPU. StackSeconds is what the
	// sampled stacks say of it by themselves, and Coverage their ratio: it differs from 1 by chance, and by what was lost.
	ExactSeconds float64  `json:"exact_seconds"`
	StackSeconds float64  `json:"stack_seconds"`
	Coverage     *float64 `json:"coverage,omitempty"`
	RunSeconds   float64  `json:"run_seconds"` // on a CPU, by the same clock
	Switches     uint64   `json:"switches"`
	// UnfoldedThreads ended and found no room for their times; UntrackedThreads had no room from the beginning.
	UnfoldedThreads  uint64 `json:"unfolded_threads"`
	UntrackedThreads uint64 `json:"untracked_threads"`
	// Wakers is of a recording that asked for them.
	Wakers *WakersSummary `json:"wakers,omitempty"`
}

// WakersSummary counts samples of waits that were seen to end: with the stack of who ended them, and without.
type WakersSummary struct {
	Found   uint64 `json:"found"`
	Missing uint64 `json:"missing"`
}

// OffCPUStateSummary is of one state.
type OffCPUStateSummary struct {
	ExactSeconds float64 `json:"exact_seconds"`
	StackSeconds float64 `json:"stack_seconds"`
}

// NewOffCPUSummary joins the exact times with what the stacks of a recording stand for, in ns by state.
func NewOffCPUSummary(t loader.OffCPUTotals, stacks map[loader.Doing]int64) *OffCPUSummary {
	var sum loader.Times
	for i := range t.Threads {
		sum.Add(&t.Threads[i].Times)
	}
	for i := range t.Ended {
		sum.Add(&t.Ended[i].Times)
	}
	s := &OffCPUSummary{
		Threads: len(t.Threads), States: map[string]OffCPUStateSummary{}, ExactSeconds: round(sum.OffCPU().Seconds()),
		RunSeconds: round(sum.In[loader.Running].Seconds()), Switches: sum.Switches,
		UnfoldedThreads: t.Unfolded, UntrackedThreads: t.Untracked,
	}
	for d := range loader.Doings {
		d := loader.Doing(d)
		if d == loader.Running {
			continue
		}
		s.States[d.String()] = OffCPUStateSummary{round(sum.In[d].Seconds()), round(float64(stacks[d]) / 1e9)}
		s.StackSeconds += float64(stacks[d]) / 1e9
	}
	s.StackSeconds = round(s.StackSeconds)
	if s.ExactSeconds > 0 {
		c := round(s.StackSeconds / s.ExactSeconds)
		s.Coverage = &c
	}
	return s
}

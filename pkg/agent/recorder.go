// Package agent is the only place that knows both halves: it takes samples from the
// kernel half, counts them, and builds profiles for the profile half.
//
// Nothing is named while samples arrive. A file is opened when it is first seen,
// because its process may die; it is read when the window closes.
package agent

import (
	"strings"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// A Recorder counts samples and turns them into a profile. It is a loader.Handler; it is
// not safe for concurrent use.
type Recorder struct {
	fs        proc.FS
	event     loader.Event
	announce  func(loader.FileID)
	objects   *objects
	stacks    *stacks
	processes *processes
	counts    map[sampleKey]count
	samples   uint64
	guessed   uint64
	first     time.Duration // of the first sample, CLOCK_MONOTONIC
	comms     map[string]string
	onTick    func()
	unwinding *unwinding // nil: frame pointers only
}

type sampleKey struct {
	stack   uint32
	process uint32
	tid     int32
	comm    string
}

type count struct {
	samples uint64
	weight  uint64
}

// NewRecorder returns a recorder for samples of event. reannounce, if not nil, asks for
// a file to be told of again; onTick, if not nil, is called between two drains.
func NewRecorder(fs proc.FS, event loader.Event, reannounce func(loader.FileID), onTick func()) *Recorder {
	return &Recorder{
		fs: fs, event: event, announce: reannounce, onTick: onTick,
		objects:   newObjects(fs),
		stacks:    newStacks(),
		processes: newProcesses(fs),
		counts:    map[sampleKey]count{},
		comms:     map[string]string{},
	}
}

// Sample counts one sample.
func (r *Recorder) Sample(s *loader.Sample) {
	key := sampleKey{
		stack:   r.stacks.add(s, r.objects),
		process: r.processes.add(s),
		tid:     int32(s.TID),
		comm:    r.comm(s.Comm),
	}
	c := r.counts[key]
	c.samples++
	c.weight += s.Weight
	if r.samples == 0 || s.Time < r.first {
		r.first = s.Time
	}
	r.counts[key] = c
	r.samples++
	if s.Guessed {
		r.guessed++
	}
}

// comm returns b as a string, allocated once for each name.
func (r *Recorder) comm(b []byte) string {
	if s, ok := r.comms[string(b)]; ok {
		return s
	}
	s := string(b)
	r.comms[s] = s
	return s
}

// Unwind makes the recorder compile the unwind tables of every object that stacks touch, up to budget bytes of kernel
// memory. Tables are kept in cacheDir, unless it is "".
func (r *Recorder) Unwind(kernel TableSetter, budget int64, cacheDir string) {
	r.unwinding = newUnwinding(kernel, budget, cacheDir)
}

// UnwindStats says what became of the objects that stacks touched.
func (r *Recorder) UnwindStats() UnwindStats {
	if r.unwinding == nil {
		return UnwindStats{}
	}
	return r.unwinding.statistics()
}

// File opens a file that a stack touches for the first time.
func (r *Recorder) File(f loader.File) {
	file, settled := r.objects.open(f)
	if file != nil && r.unwinding != nil {
		r.unwinding.add(f.ID, file)
	}
	if !settled && r.announce != nil {
		r.announce(f.ID)
	}
}

// Tick is called between two drains of the ring.
func (r *Recorder) Tick() {
	if r.onTick != nil {
		r.onTick()
	}
}

// Samples is the number of samples so far.
func (r *Recorder) Samples() uint64 { return r.samples }

// FirstSample is when the first sample was taken, CLOCK_MONOTONIC; 0 without one.
func (r *Recorder) FirstSample() time.Duration { return r.first }

// Close ends compiling and closes the files.
func (r *Recorder) Close() {
	if r.unwinding != nil {
		r.unwinding.close()
		r.unwinding = nil
	}
	r.objects.close()
}

// Profile names every distinct stack and builds the profile of all samples so far.
func (r *Recorder) Profile(start time.Time, duration time.Duration, comments ...string) (*pprof.Profile, Stacks) {
	named := r.name()
	b := profile.NewBuilder(r.builderOptions(start, duration, comments))
	sum := Stacks{Guessed: r.guessed}
	for _, key := range sortedKeys(r.counts) {
		c := r.counts[key]
		st := named.stack(b, key.stack)
		sum.add(st, c.samples)
		p := r.processes.list[key.process]
		labels := profile.Labels{
			Comm: key.comm, PID: int64(p.pid), TID: int64(key.tid),
			Service: p.service, Container: p.container,
		}
		if labels.Service == "" {
			labels.Service = key.comm
		}
		if !st.end.Complete() {
			labels.Stack = st.end.String()
		}
		b.Sample(st.locations, labels, int64(c.samples), r.value(c))
	}
	return b.Profile(), sum
}

// value is what a count is worth in the event's unit.
func (r *Recorder) value(c count) int64 {
	if r.event.IsTime() {
		return int64(c.samples * uint64(time.Second) / r.event.Frequency)
	}
	return int64(c.weight)
}

func (r *Recorder) builderOptions(start time.Time, duration time.Duration, comments []string) profile.BuilderOptions {
	event := profile.ValueType{Type: profileType(r.event.Name), Unit: "count"}
	period := int64(r.event.Period)
	if r.event.IsTime() {
		event = profile.ValueType{Type: "cpu", Unit: "nanoseconds"}
		period = int64(uint64(time.Second) / r.event.Frequency)
	}
	return profile.BuilderOptions{
		SampleTypes: []profile.ValueType{{Type: "samples", Unit: "count"}, event},
		PeriodType:  event,
		Period:      period,
		Start:       start,
		Duration:    duration,
		Comments:    comments,
	}
}

// profileType is an event's name as a sample type: Pyroscope refuses a dash.
func profileType(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "-", "_"), ":", "_")
}

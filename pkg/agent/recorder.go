// Package agent is the only place that knows both halves: it takes samples from the
// kernel half, counts them, and builds profiles for the profile half.
//
// A Recorder makes one profile of one recording; a Collector makes a profile of every
// service every few seconds, for weeks. Both are made of the same pieces: a generation
// numbers stacks and processes, a discovery opens files, a namer names what was counted.
//
// Nothing is named while samples arrive. A file is opened when it is first seen,
// because its process may die; it is read when the window closes.
package agent

import (
	"slices"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// A Recorder counts samples and turns them into a profile. It is a loader.Handler; it is
// not safe for concurrent use.
type Recorder struct {
	*generation
	discovery
	kinds   []Kind
	counts  map[sampleKey]count
	samples uint64
	guessed []uint64      // by kind
	first   time.Duration // of the first sample, CLOCK_MONOTONIC
	onTick  func()

	moments *moments // nil: times are not kept
	times   *profile.Times
}

// NewRecorder returns a recorder for samples of some kinds, those of the sampler's events
// in their order. reannounce, if not nil, asks for a file to be told of again; onTick, if
// not nil, is called between two drains.
//
// Errors: two kinds that a profile cannot tell apart.
func NewRecorder(fs proc.FS, kinds []Kind, reannounce func(loader.FileID), onTick func()) (*Recorder, error) {
	if err := CheckKinds(kinds); err != nil {
		return nil, err
	}
	return &Recorder{
		generation: newGeneration(IdentifyByProc(fs)),
		discovery:  discovery{fs: fs, objects: newObjects(fs), announce: reannounce},
		kinds:      kinds, onTick: onTick,
		counts:  map[sampleKey]count{},
		guessed: make([]uint64, len(kinds)),
	}, nil
}

// Sample counts one sample.
func (r *Recorder) Sample(s *loader.Sample) {
	comm := r.comms.add(s.Comm)
	key := sampleKey{
		stack:   r.stackOf(s),
		process: r.processes.add(s, comm),
		tid:     int32(s.TID),
		comm:    comm,
		kindTag: kindTagOf(s),
	}
	c := r.counts[key]
	c.samples++
	c.events++
	c.weight += s.Weight
	c.objects += s.Objects
	c.waited += s.Waited
	if r.samples == 0 || s.Time < r.first {
		r.first = s.Time
	}
	r.counts[key] = c
	if r.moments != nil {
		r.moments.add(key, s.Time, count{samples: 1, events: 1, weight: s.Weight})
	}
	r.samples++
	if s.Guessed {
		r.guessed[s.Event]++
	}
}

func (r *Recorder) stackOf(s *loader.Sample) uint32 {
	if s.Waker != nil {
		return r.stacks.addWoken(s, r.comms.add(s.Waker.Comm), r.objects)
	}
	return r.stacks.add(s, r.objects)
}

// KeepTimes makes the recorder keep when samples were taken, for Times. It is called before the first sample.
func (r *Recorder) KeepTimes() { r.moments = &moments{} }

// Times returns when the samples of the last Profile were taken; nil without KeepTimes.
func (r *Recorder) Times() *profile.Times { return r.times }

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

// Prepare compiles the unwind tables of what pids run, and of what most processes share, so that the first stack of a
// new process is whole. It returns when that is done, or after limit; what is missing then is compiled later.
func (r *Recorder) Prepare(limit time.Duration, pids ...int) { r.prepare(limit, pids...) }

// File opens a file that a stack touches for the first time.
func (r *Recorder) File(f loader.File) { r.file(f) }

// Tick is called between two drains of the ring.
func (r *Recorder) Tick() {
	r.tick()
	if r.onTick != nil {
		r.onTick()
	}
}

// Samples is the number of samples so far.
func (r *Recorder) Samples() uint64 { return r.samples }

// FirstSample is when the first sample was taken, CLOCK_MONOTONIC; 0 without one.
func (r *Recorder) FirstSample() time.Duration { return r.first }

// closeLimit is how long a recording waits for the table being compiled, so that the next one finds it on disk.
const closeLimit = 10 * time.Second

// Close ends compiling and closes the files.
func (r *Recorder) Close() { r.close(closeLimit) }

// Profile names every distinct stack and builds the profile of all samples so far: samples/count and then a sample type
// for each kind. It returns how whole the stacks are, by kind.
func (r *Recorder) Profile(start time.Time, duration time.Duration, comments ...string) (*pprof.Profile, []Stacks) {
	return r.profile(0, len(r.kinds), start, duration, comments)
}

// ProfileOf is Profile of the kind with one number.
func (r *Recorder) ProfileOf(kind int, start time.Time, duration time.Duration, comments ...string) *pprof.Profile {
	p, _ := r.profile(kind, kind+1, start, duration, comments)
	return p
}

// profile is of the kinds from one number to, not including, another.
func (r *Recorder) profile(from, to int, start time.Time, duration time.Duration, comments []string) (*pprof.Profile, []Stacks) {
	v := r.view(r.objects)
	keys := slices.DeleteFunc(v.sortedKeys(r.counts), func(k sampleKey) bool { return k.kind() < from || k.kind() >= to })
	var n namer
	defer n.close()
	n.name(v, stacksOf(keys))
	b := profile.NewBuilder(builderOptions(r.kinds[from:to], start, duration, comments))
	l := &locator{b: b}
	defer l.done()
	sums := make([]Stacks, len(r.kinds))
	for i := range sums {
		sums[i].Guessed = r.guessed[i]
	}
	var at []int // of each kind's values
	width := 1
	for _, k := range r.kinds[from:to] {
		at = append(at, width)
		width += len(k.types())
	}
	values := make([]int64, width)
	var buf []*place
	samples := make(map[sampleKey]*pprof.Sample)
	for _, key := range keys {
		c := r.counts[key]
		st := v.read(key.stack, v.gen.places, buf)
		buf = st.places
		kind := key.kind()
		sums[kind].add(st, c.samples)
		clear(values)
		values[0] = int64(c.events)
		own := values[at[kind-from]:][:len(r.kinds[kind].types())]
		r.kinds[kind].values(c, own)
		sums[kind].Value += own[len(own)-1]
		sums[kind].Objects += c.objects
		sample := l.enter(v, key, r.kinds[kind], st, v.processes[key.process].service, values...)
		if r.moments != nil && kind == from { // the profile shows that kind first
			samples[key] = sample
		}
	}
	if r.moments != nil {
		r.times = r.moments.times(samples, r.kinds[from])
	}
	return b.Profile(), sums
}

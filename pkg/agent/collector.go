package agent

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

// A Sampler is what makes samples: a *loader.Sampler.
type Sampler interface {
	Start() error
	Run(loader.Handler) error // returns when Stop was called and everything was read
	Stop()
}

// A Kernel is what else a Collector asks of the kernel side.
type Kernel interface {
	Counters(event int) (loader.Counters, error)
	Reannounce(loader.FileID)
}

// CollectorOptions says what to make of samples. The zero value of a field is its default.
type CollectorOptions struct {
	FS proc.FS
	// Kinds are those of the sampler's events, in their order.
	Kinds []Kind
	// Window is how long a window is: 10 s.
	Window time.Duration
	Sinks  []Sink
	// Identify tells what a process belongs to. It is called on the reading goroutine when a process is first sampled, and
	// a few times later. Default: IdentifyByProc.
	Identify Identifier
	// PIDs are processes whose unwind tables are made before sampling begins.
	PIDs []int
	// Tables is where unwind tables go; nil: stacks are walked by frame pointers only.
	Tables      TableSetter
	TableBudget int64  // kernel bytes; default DefaultUnwindBudget
	TableCache  string // directory; "": none
	// MaxFiles bounds the descriptors held: 1024. MaxPlaces bounds the names kept from window to window: 100,000.
	MaxFiles, MaxPlaces int
	// Past is how much of what happened is kept for live readers: 5 min; negative: nothing. PastBytes bounds it, for each
	// kind: 8 MiB.
	Past      time.Duration
	PastBytes int
	// Flush is how long Run goes on after its context ended: 1.5 s. What no sink has taken then is dropped and counted.
	Flush time.Duration
	Log   *slog.Logger // default: none
}

const (
	defaultWindow    = 10 * time.Second
	defaultMaxFiles  = 1024
	defaultMaxPlaces = 100_000
	defaultFlush     = 1500 * time.Millisecond
	defaultPast      = 5 * time.Minute
	defaultPastBytes = 8 << 20

	// grace is how much later than its time a sample may come into the ring: the time that its stack takes to walk, on a
	// CPU that a hypervisor may take away meanwhile.
	grace = 50 * time.Millisecond
	// indexBytes is what symbol indexes may take between two windows.
	indexBytes = 12 << 20
	// fileWindows is after how many windows without a sample an object's descriptor is closed.
	fileWindows = 30
	// maxGap is how many windows without a sample are told of one by one; more are left out.
	maxGap = 2
)

// A Collector counts samples of one or several kinds in windows, for as long as it runs, and gives each window to its
// sinks: an interval for each kind. Kinds share everything that is known of processes, objects and names. It is a
// loader.Handler: Sample, File and Tick are called by the sampler's goroutine. Run owns everything else; Subscribe,
// Stats and Reidentify may be called from any goroutine, at any time.
type Collector struct {
	options CollectorOptions
	kinds   []Kind
	kernel  Kernel
	log     *slog.Logger

	// Of the reading goroutine.
	discovery
	gen       *generation
	age       int // windows of gen
	baseNodes int // nodes of gen after its first window
	thinnings map[string]*thinning
	schedule  schedule
	cur, next *window
	lastTick  time.Duration
	lostSeen  []uint64 // by kind
	counts    readCounts

	renew  atomic.Bool
	namer  namer
	closed chan *window // to the goroutine that names
	sinks  []*sinkQueue
	live   []*feed // by kind

	mu    sync.Mutex // guards stats
	stats Stats
}

// NewCollector returns a Collector for what the kernel side k counts.
func NewCollector(k Kernel, o CollectorOptions) (*Collector, error) {
	if o.Window < 0 || o.Window > 0 && o.Window < minWindow {
		return nil, fmt.Errorf("window of %s: want at least %s", o.Window, minWindow)
	}
	if err := CheckKinds(o.Kinds); err != nil {
		return nil, err
	}
	o.defaults()
	c := &Collector{
		options: o, kinds: o.Kinds, kernel: k, log: o.Log,
		discovery: discovery{fs: o.FS, objects: newObjects(o.FS), announce: k.Reannounce},
		thinnings: map[string]*thinning{},
		schedule:  schedule{length: o.Window, clock: systemClock},
		closed:    make(chan *window, 1),
		lostSeen:  make([]uint64, len(o.Kinds)),
		counts:    readCounts{kinds: make([]kindCounts, len(o.Kinds))},
	}
	c.objects.limit, c.objects.reopen = o.MaxFiles, true
	c.namer.cache.limit, c.namer.indexes.limit = o.MaxPlaces, indexBytes
	c.stats.init(c.kinds)
	for _, s := range o.Sinks {
		if _, taken := c.stats.Sinks[s.Name]; taken || s.Name == "" || s.Put == nil {
			return nil, fmt.Errorf("sink %q: want a name of its own and a function", s.Name)
		}
		c.stats.Sinks[s.Name] = SinkStats{}
		c.sinks = append(c.sinks, newSinkQueue(s, c))
	}
	for kind := range c.kinds {
		c.live = append(c.live, newFeed(c, kind))
	}
	c.gen = c.newGeneration()
	return c, nil
}

// minWindow is several times what passes between two drains of the ring.
const minWindow = time.Second

func (o *CollectorOptions) defaults() {
	if o.Window == 0 {
		o.Window = defaultWindow
	}
	if o.Identify == nil {
		o.Identify = IdentifyByProc(o.FS)
	}
	if o.TableBudget == 0 {
		o.TableBudget = DefaultUnwindBudget
	}
	if o.MaxFiles == 0 {
		o.MaxFiles = defaultMaxFiles
	}
	if o.MaxPlaces == 0 {
		o.MaxPlaces = defaultMaxPlaces
	}
	if o.Past == 0 {
		o.Past = defaultPast
	}
	if o.PastBytes == 0 {
		o.PastBytes = defaultPastBytes
	}
	if o.Flush == 0 {
		o.Flush = defaultFlush
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// Kinds are those that are collected, by number. Nobody changes them.
func (c *Collector) Kinds() []Kind { return c.kinds }

// Reidentify makes the collector ask anew what every process belongs to, because the rules have changed. It takes effect
// with the next window.
func (c *Collector) Reidentify() { c.renew.Store(true) }

// Sample counts one sample.
func (c *Collector) Sample(s *loader.Sample) {
	if s.Time >= c.cur.end {
		c.advance(s.Time)
	}
	w := c.cur
	if s.Time >= w.end {
		w = c.nextWindow()
	} else if s.Time < w.start {
		c.counts.late++
	}
	comm := c.gen.comms.add(s.Comm)
	id := c.gen.processes.add(s, comm)
	p := &c.gen.processes.list[id]
	n := &c.counts.kinds[s.Event]
	if p.drop {
		n.dropped++
		return
	}
	worth := count{samples: 1, events: 1, weight: s.Weight, objects: s.Objects}
	if p.thin != nil {
		var kept bool
		if worth, kept = p.thin.take(s.Event, s.Weight, s.Objects); !kept {
			n.thinned++
			return
		}
	}
	n.samples++
	if s.Guessed {
		w.guessed[s.Event]++
	}
	key := sampleKey{stack: c.gen.stacks.add(s, c.objects), process: id, tid: int32(s.TID), comm: comm, kindTag: kindTagOf(s)}
	w.part(c.gen).add(key, worth)
	if live := c.live[s.Event]; live.wanted() {
		live.add(s.Time, key, worth.events, worth.weight)
	}
}

// File opens a file that a stack touches for the first time, or again.
func (c *Collector) File(f loader.File) { c.file(f) }

// Tick is called between two drains of the ring.
func (c *Collector) Tick() {
	now, _ := c.schedule.clock()
	for _, f := range c.objects.takeWanted() {
		c.file(f)
	}
	c.discovery.tick()
	// The ring was empty at some time since the last tick, so what came into it before that has been read.
	if c.lastTick >= c.cur.end+grace {
		c.advance(c.lastTick)
	}
	c.lastTick = now
	for _, f := range c.live {
		f.tick()
	}
	c.publish()
}

// begin opens the first window.
func (c *Collector) begin() {
	now, _ := c.schedule.clock()
	c.lastTick = now
	c.cur = c.newWindow(c.schedule.at(now), 0)
	for _, f := range c.live {
		f.begin()
	}
}

// newWindow opens a window that is likely to have hint distinct samples.
func (c *Collector) newWindow(s span, hint int) *window {
	return &window{span: s, guessed: make([]uint64, len(c.kinds)), hint: hint}
}

// newGeneration is what numbers samples from now on.
func (c *Collector) newGeneration() *generation {
	g := newGeneration(c.options.Identify).bounded()
	g.processes.thin = c.thinningOf
	return g
}

// thinningOf is the state of a service's thinning, which outlives generations: samples that wait for the next one to
// stand for them are not forgotten.
func (c *Collector) thinningOf(series string, fraction float64) *thinning {
	t := c.thinnings[series]
	if t == nil {
		t = &thinning{kinds: make([]thinned, len(c.kinds))}
		c.thinnings[series] = t
	}
	t.fraction = fraction
	return t
}

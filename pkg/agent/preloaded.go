package agent

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
)

// A SampledKernel puts probes on what processes sample themselves: a *loader.Sampler.
type SampledKernel interface {
	ProbeSampled(pid int, file string, probes []loader.SampledProbe) (io.Closer, error)
	AllocHits(account int) (loader.AllocHits, error)
	CalibrateAllocs() (loader.HitCost, error)
}

// Preloaded takes the samples of allocations that a helper within processes takes (pkg/preload), and finds out which
// processes it is in. Sample and what tells of the end may be called while Run runs; the rest belongs to one goroutine.
type Preloaded struct {
	fs     proc.FS
	kernel SampledKernel
	helper helperFile
	cost   loader.HitCost
	base   loader.AllocHits // before the first sample
	begin  time.Time
	probes io.Closer

	mu        sync.Mutex // guards what follows
	files     map[proc.FileID]*preloadFile
	processes map[int]*preloadProcess
	gone      []Uncovered
	sampled   map[sampledProcess]bool
	owners    int // processes with a sampler of their own
	ended     time.Time
	replaced  uint64
	failure   error // the first to put a probe on a process's own
}

// A sampledProcess is a process with the helper, of which a sample has come.
type sampledProcess struct {
	pid     int
	startNs uint64
}

// maxSampled bounds the processes that are told apart.
const maxSampled = 64 << 10

// A helperFile is what is known of the helper.
type helperFile struct {
	path   string
	size   int64
	id     loader.FileID
	probes []loader.SampledProbe
}

// NewPreloaded calibrates the cost of a probe, in some 0.2 s. helper is the library that processes will be given; it is
// to take a sample for as many bytes as the event alloc does.
func NewPreloaded(fs proc.FS, k SampledKernel, helper string) (*Preloaded, error) {
	cost, err := k.CalibrateAllocs()
	if err != nil {
		return nil, err
	}
	base, err := k.AllocHits(0)
	if err != nil {
		return nil, err
	}
	h, err := openHelper(fs, helper)
	if err != nil {
		return nil, err
	}
	return &Preloaded{
		fs: fs, kernel: k, helper: h, cost: cost, base: base,
		files: map[proc.FileID]*preloadFile{}, processes: map[int]*preloadProcess{}, sampled: map[sampledProcess]bool{},
	}, nil
}

// openHelper reads the helper's probe, and how the kernel names the file: that is told by mapping it.
func openHelper(fs proc.FS, path string) (helperFile, error) {
	h := helperFile{path: path}
	f, err := os.Open(path)
	if err != nil {
		return h, fmt.Errorf("read helper: %w", err)
	}
	defer f.Close()
	if h.probes, err = sampledProbes(f, false); err != nil {
		return h, fmt.Errorf("read helper: %w", err)
	}
	m, err := unix.Mmap(int(f.Fd()), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE)
	if err != nil {
		return h, fmt.Errorf("map helper: %w", err)
	}
	defer unix.Munmap(m)
	own, err := fs.Executables(os.Getpid())
	if err != nil {
		return h, fmt.Errorf("locate helper: %w", err)
	}
	for _, e := range own {
		if e.Hint.Path == path {
			h.id, h.size = loader.FileID(e.ID), e.Hint.Size
			return h, nil
		}
	}
	return h, fmt.Errorf("locate helper: %s is not among own mappings", path)
}

// Helper announces the helper as the kernel would, so that its unwind table is there before the first sample.
func (p *Preloaded) Helper() loader.File {
	return loader.File{ID: p.helper.id, PID: os.Getpid(), Size: p.helper.size, Path: p.helper.path}
}

// Start puts a probe on the helper, for all processes that map it, now or later: no child is too short to be seen.
func (p *Preloaded) Start(pids []int, started ...int) error {
	p.begin = time.Now()
	var err error
	if p.probes, err = p.kernel.ProbeSampled(0, p.helper.path, p.helper.probes); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pid := range append(pids, started...) {
		p.add(pid)
	}
	return nil
}

// Run looks at what processes map until stopped is closed.
func (p *Preloaded) Run(stopped <-chan struct{}) {
	tick := time.NewTicker(searchEarly)
	defer tick.Stop()
	var searched time.Time
	for {
		select {
		case <-stopped:
			p.end()
			return
		case now := <-tick.C:
			if now.Sub(p.begin) >= earlyTime && now.Sub(searched) < searchLate {
				continue
			}
			searched = now
			p.follow()
		}
	}
}

func (p *Preloaded) end() {
	p.probes.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = time.Now()
	for _, q := range p.processes {
		p.release(q)
	}
}

// Sample prepares a sample, and tells whether it counts: its stack is to begin where the helper was called, and of a
// process with a sampler of its own only that one's count.
func (p *Preloaded) Sample(s *loader.Sample) bool {
	n := 0
	for n < len(s.User) && p.isHelper(s, s.User[n]) {
		n++
	}
	if n == 0 {
		return true
	}
	s.Trim(n)
	p.mu.Lock()
	defer p.mu.Unlock()
	if q := p.processes[s.PID]; q != nil && q.samples {
		p.replaced++
		return false
	}
	if key := (sampledProcess{s.PID, s.StartNs}); !p.sampled[key] && len(p.sampled) < maxSampled {
		p.sampled[key] = true
	}
	return true
}

func (p *Preloaded) isHelper(s *loader.Sample, addr uint64) bool {
	for i := range s.VMAs {
		if v := &s.VMAs[i]; addr >= v.Start && addr < v.End {
			return v.File == p.helper.id
		}
	}
	return false
}

// LeftOut is how many samples did not count.
func (p *Preloaded) LeftOut() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.replaced
}

// Close lets go of the files. Run must have returned.
func (p *Preloaded) Close() {
	for _, f := range p.files {
		if f.file != nil {
			f.file.Close()
			f.file = nil
		}
	}
}

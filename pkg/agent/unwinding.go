package agent

import (
	"bytes"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/symbolize"
	"github.com/ebpfprof/ebpfprof/pkg/unwind"
)

// A TableSetter is the kernel side's tables.
type TableSetter interface {
	SetTable(loader.FileID, *unwind.Table, []loader.Segment) (int64, error)
	EvictTables(limit int64) []loader.FileID
	TableBytes() int64
}

// unwinding compiles the unwind tables of objects as they are seen, on a goroutine of its own: reading samples never
// waits for it.
type unwinding struct {
	kernel TableSetter
	budget int64
	cache  tableCache // of work's goroutine

	mu     sync.Mutex
	queue  []compileJob
	busy   bool // an object is being compiled
	closed bool
	wake   sync.Cond
	done   chan struct{}
	stats  UnwindStats
}

// UnwindStats says what became of the objects that stacks touched.
type UnwindStats struct {
	Compiled int `json:"compiled"`  // tables made
	Cached   int `json:"cached"`    // tables read from disk
	Failed   int `json:"failed"`    // no ELF file that can be read, or no room in the kernel
	Evicted  int `json:"evicted"`   // tables dropped to stay within the budget
	TooLarge int `json:"too_large"` // tables larger than the budget
}

type compileJob struct {
	id   loader.FileID
	file *os.File // not ours to close
	size int64
}

// DefaultUnwindBudget is the kernel memory that unwind tables may take.
const DefaultUnwindBudget = 64 << 20

func newUnwinding(kernel TableSetter, budget int64, cacheDir string) *unwinding {
	u := &unwinding{kernel: kernel, budget: budget, cache: openCache(cacheDir), busy: true, done: make(chan struct{})}
	u.wake.L = &u.mu
	go u.work()
	return u
}

// add queues an object. It never blocks.
func (u *unwinding) add(id loader.FileID, file *os.File) {
	info, err := file.Stat()
	if err != nil {
		return
	}
	u.mu.Lock()
	u.queue = append(u.queue, compileJob{id, file, info.Size()})
	u.mu.Unlock()
	u.wake.Broadcast()
}

// smallest takes the smallest file off the queue, so that a huge one delays no other.
func (u *unwinding) smallest() compileJob {
	best := 0
	for i := range u.queue {
		if u.queue[i].size < u.queue[best].size {
			best = i
		}
	}
	job := u.queue[best]
	u.queue = slices.Delete(u.queue, best, best+1)
	return job
}

// settle waits until everything queued is compiled, or for a time.
func (u *unwinding) settle(limit time.Duration) {
	timer := time.AfterFunc(limit, u.wake.Broadcast)
	defer timer.Stop()
	deadline := time.Now().Add(limit)
	u.mu.Lock()
	defer u.mu.Unlock()
	for (u.busy || len(u.queue) > 0) && !u.closed && time.Now().Before(deadline) {
		u.wake.Wait()
	}
}

// close waits for the object being compiled; what is queued is dropped.
func (u *unwinding) close() {
	u.mu.Lock()
	u.closed = true
	u.mu.Unlock()
	u.wake.Broadcast()
	<-u.done
}

func (u *unwinding) work() {
	defer close(u.done)
	defer u.wake.Broadcast()
	if image, err := symbolize.VDSOImage(); err == nil {
		u.compile(loader.FileID{}, bytes.NewReader(image), int64(len(image)))
	}
	for {
		u.mu.Lock()
		u.busy = false
		u.wake.Broadcast()
		for len(u.queue) == 0 && !u.closed {
			u.wake.Wait()
		}
		if u.closed {
			u.mu.Unlock()
			u.cache.prune(cacheBytes)
			return
		}
		job := u.smallest()
		u.busy = true
		u.mu.Unlock()
		u.compile(job.id, job.file, job.size)
	}
}

func (u *unwinding) compile(id loader.FileID, r io.ReaderAt, size int64) {
	outcome := u.set(id, r, size)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stats.Compiled += outcome.Compiled
	u.stats.Cached += outcome.Cached
	u.stats.Failed += outcome.Failed
	u.stats.Evicted += outcome.Evicted
	u.stats.TooLarge += outcome.TooLarge
}

func (u *unwinding) set(id loader.FileID, r io.ReaderAt, size int64) (s UnwindStats) {
	obj, err := symbolize.NewObject(r, size)
	if err != nil {
		s.Failed++
		return s
	}
	var segs []loader.Segment
	for _, g := range obj.Executable() {
		segs = append(segs, loader.Segment{Vaddr: g.Vaddr, Offset: g.Offset, Filesz: g.Filesz})
	}
	file, _ := r.(*os.File) // nil for the vDSO
	path := u.cache.path(file, obj.BuildID())
	table := u.cache.load(path)
	if table == nil {
		if table, err = unwind.Compile(r, size, unwind.Options{}); err != nil {
			s.Failed++
			return s
		}
		u.cache.store(path, table)
		s.Compiled++
	} else {
		s.Cached++
	}
	need := int64(table.Len()) * rowBytes
	if need > u.budget {
		s.TooLarge++
		return s
	}
	s.Evicted += len(u.kernel.EvictTables(u.budget - need))
	if _, err := u.kernel.SetTable(id, table, segs); err != nil {
		s.Failed++
	}
	return s
}

// rowBytes is what a row takes in the kernel.
const rowBytes = 6

func (u *unwinding) statistics() UnwindStats {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.stats
}

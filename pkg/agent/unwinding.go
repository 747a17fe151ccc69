package agent

import (
	"bytes"
	"errors"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

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
	now    func() time.Time

	mu     sync.Mutex
	queue  []compileJob
	tables tableStates
	busy   bool // an object is being compiled
	closed bool
	wake   sync.Cond
	done   chan struct{}
	stats  UnwindStats

	// setting is held while the kernel's tables are changed: after close nothing changes them.
	setting sync.Mutex
	ended   bool
}

// UnwindStats says what became of the objects that stacks touched.
type UnwindStats struct {
	Compiled int `json:"compiled"`          // tables made
	Cached   int `json:"cached"`            // tables read from disk
	Failed   int `json:"failed"`            // no ELF file that can be read, or no room in the kernel
	Evicted  int `json:"evicted"`           // tables dropped to stay within the budget
	TooLarge int `json:"too_large"`         // tables larger than the budget
	Refused  int `json:"refused,omitempty"` // objects put off because too many waited
}

type compileJob struct {
	id   loader.FileID
	file *heldFile // held by the job; nil for the vDSO
	size int64
}

const (
	// DefaultUnwindBudget is the kernel memory that unwind tables may take.
	DefaultUnwindBudget = 64 << 20

	// maxCompileQueue bounds the objects, and so the descriptors, that wait to be compiled.
	maxCompileQueue = 1024
	// rowBytes is what a row takes in the kernel.
	rowBytes = 6
)

func newUnwinding(kernel TableSetter, budget int64, cacheDir string) *unwinding {
	u := &unwinding{
		kernel: kernel, budget: budget, cache: openCache(cacheDir), now: time.Now, busy: true, done: make(chan struct{}),
	}
	u.wake.L = &u.mu
	go u.work()
	return u
}

// add queues an object, unless it was compiled or waits already, or is to be left alone for now. It never blocks.
func (u *unwinding) add(id loader.FileID, file *heldFile) {
	info, err := file.Stat()
	if err != nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed || !u.tables.wanted(id, u.now()) {
		return
	}
	if len(u.queue) >= maxCompileQueue {
		u.stats.Refused++
		u.tables.later(id, u.now())
		return
	}
	u.tables.queued(id)
	u.queue = append(u.queue, compileJob{id, file.hold(), info.Size()})
	u.wake.Broadcast()
}

// due returns objects without a table that are to be announced again: the time for which they were left alone is over.
func (u *unwinding) due() []loader.FileID {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return nil
	}
	ids := u.tables.due(u.now())
	for i, id := range ids {
		if id == (loader.FileID{}) { // the vDSO is no file: nobody will announce it
			u.tables.queued(id)
			u.queue = append(u.queue, compileJob{})
			u.wake.Broadcast()
			return append(ids[:i], ids[i+1:]...)
		}
	}
	return ids
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
	last := len(u.queue) - 1
	u.queue[best] = u.queue[last]
	u.queue[last] = compileJob{}
	u.queue = u.queue[:last]
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

// close drops what is queued, and waits for the object being compiled, but no longer than limit. When it returns, the
// kernel's tables are not changed any more.
func (u *unwinding) close(limit time.Duration) {
	u.mu.Lock()
	u.closed = true
	for _, job := range u.queue {
		job.release()
	}
	u.queue = nil
	u.mu.Unlock()
	u.wake.Broadcast()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-u.done:
	case <-timer.C:
	}
	u.setting.Lock()
	u.ended = true
	u.setting.Unlock()
}

// urgency is the nice value of compiling. It is short, and until it is done the stacks of a new program are not whole: on a
// machine with many more runnable threads than CPUs that would take seconds.
const urgency = -10

func (u *unwinding) work() {
	defer close(u.done)
	defer u.wake.Broadcast()
	runtime.LockOSThread()                              // never unlocked: the thread ends with the goroutine
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, urgency) // of this thread; without CAP_SYS_NICE it takes its turn
	u.run(compileJob{})
	for {
		u.mu.Lock()
		u.busy = false
		idle := len(u.queue) == 0
		u.wake.Broadcast()
		u.mu.Unlock()
		if idle {
			u.cache.prune(cacheBytes)
		}
		u.mu.Lock()
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
		u.run(job)
	}
}

func (u *unwinding) run(job compileJob) {
	defer job.release()
	if job.file != nil {
		u.compile(job.id, job.file.File, job.size)
	} else if image, err := symbolize.VDSOImage(); err == nil {
		u.compile(job.id, bytes.NewReader(image), int64(len(image)))
	}
}

func (j compileJob) release() {
	if j.file != nil {
		j.file.release()
	}
}

func (u *unwinding) compile(id loader.FileID, r io.ReaderAt, size int64) {
	outcome, state, gone := u.set(id, r, size)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stats.Compiled += outcome.Compiled
	u.stats.Cached += outcome.Cached
	u.stats.Failed += outcome.Failed
	u.stats.Evicted += outcome.Evicted
	u.stats.TooLarge += outcome.TooLarge
	now := u.now()
	for _, other := range gone {
		u.tables.later(other, now)
	}
	switch state {
	case tablePostponed:
		u.tables.later(id, now)
	default:
		u.tables.settled(id, state)
	}
}

// set makes a table and gives it to the kernel. It returns what became of the object, and of others for its sake.
func (u *unwinding) set(id loader.FileID, r io.ReaderAt, size int64) (s UnwindStats, state tableState, gone []loader.FileID) {
	obj, err := symbolize.NewObject(r, size)
	if err != nil {
		s.Failed++
		return s, tableNever, nil
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
			return s, tableNever, nil
		}
		u.cache.store(path, table)
		s.Compiled++
	} else {
		s.Cached++
	}
	need := int64(table.Len()) * rowBytes
	if need > u.budget {
		s.TooLarge++
		return s, tableNever, nil
	}
	u.setting.Lock()
	defer u.setting.Unlock()
	if u.ended {
		return s, tableNever, nil
	}
	gone = u.kernel.EvictTables(u.budget - need)
	bytes, err := u.kernel.SetTable(id, table, segs)
	if errors.Is(err, loader.ErrTablesFull) { // room in bytes, but none in number
		gone = append(gone, u.kernel.EvictTables(u.kernel.TableBytes()*3/4)...)
		bytes, err = u.kernel.SetTable(id, table, segs)
	}
	s.Evicted += len(gone)
	switch {
	case err != nil:
		s.Failed++
		return s, tablePostponed, gone
	case bytes == 0: // nothing in it that the kernel could use
		return s, tableNever, gone
	}
	return s, tableHeld, gone
}

// shrink evicts tables until at most limit bytes are left in the kernel.
func (u *unwinding) shrink(limit int64) {
	u.setting.Lock()
	var gone []loader.FileID
	if !u.ended {
		gone = u.kernel.EvictTables(limit)
	}
	u.setting.Unlock()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stats.Evicted += len(gone)
	for _, id := range gone {
		u.tables.later(id, u.now())
	}
}

func (u *unwinding) statistics() UnwindStats {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.stats
}

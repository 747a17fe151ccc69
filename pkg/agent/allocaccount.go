package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// An allocAccount is the processes that share a budget, and have probes at the same times.
type allocAccount struct {
	number    int
	series    series
	governor  governor
	opened    time.Time
	base      loader.AllocHits // before that
	lastHits  loader.AllocHits // since
	processes map[int]*allocProcess
	attached  bool
	behind    bool // a library has no probes yet
	next      time.Time
	hot       time.Time // until when hits are read often

	// What puts and takes probes waits for the kernel, on goroutines of its own.
	changing chan struct{} // closed when jobs are done; nil: nothing changes
	jobs     []*probeJob

	coverage coverageLog      // under Allocations.mu
	told     profile.Coverage // that news has told of; the same
}

// A probeJob puts the probes of a file in one process, or takes them away.
type probeJob struct {
	pid    int
	of     *allocProcess
	lib    *library
	probes io.Closer
	err    error
	at     time.Time // when they were put, or began to be taken away
}

func newAllocAccount(a *Allocations, number int, s series, now time.Time) *allocAccount {
	c := &allocAccount{
		number: number, series: s, opened: now, processes: map[int]*allocProcess{},
		governor: governor{budget: a.options.Budget, cost: a.cost},
	}
	c.base, _ = a.options.Kernel.AllocHits(number) // fails for a number that is none
	c.governor.begin(now)
	c.coverage.begin(now, a.options.Keep)
	return c
}

// hits are those since the account was opened.
func (c *allocAccount) hits(a *Allocations) (loader.AllocHits, error) {
	h, err := a.options.Kernel.AllocHits(c.number)
	if err != nil {
		return h, err
	}
	return h.Since(c.base), nil
}

// idle reports whether nobody uses the account.
func (c *allocAccount) idle() bool {
	return len(c.processes) == 0 && !c.attached && c.changing == nil
}

// used is the CPU time of the account's processes since the last call.
func (c *allocAccount) used() (sum time.Duration) {
	for pid, p := range c.processes {
		now, err := proc.CPUTime(pid)
		if err != nil {
			continue // gone: the next look drops it
		}
		sum += max(now-p.cpu, 0)
		p.cpu = now
	}
	return sum
}

// missing are the jobs that put what is not in place.
func (c *allocAccount) missing() (jobs []*probeJob) {
	for pid, p := range c.processes {
		for at, l := range p.libraries {
			if p.probes[at] == nil {
				jobs = append(jobs, &probeJob{pid: pid, of: p, lib: l})
			}
		}
	}
	return jobs
}

const (
	// putAtOnce bounds the goroutines of an account that wait for the kernel to put probes, which takes some 10 ms.
	putAtOnce = 8
	// takeAtOnce is the same for taking them away. It is 40 ms of waiting, for all the more the sooner they begin to wait.
	takeAtOnce = 64
)

// attach begins to put the probes that are missing.
func (c *allocAccount) attach(a *Allocations) {
	c.attached, c.behind = true, false
	c.start(c.missing(), putAtOnce, func(j *probeJob) {
		file := fmt.Sprintf("/proc/self/fd/%d", j.lib.file.Fd())
		j.probes, j.err = a.options.Kernel.ProbeAllocs(j.pid, file, j.lib.probesOf(c.number))
		j.at = time.Now()
	})
}

// detach begins to take all probes away.
func (c *allocAccount) detach() {
	c.attached = false
	var jobs []*probeJob
	for pid, p := range c.processes {
		for at, probes := range p.probes {
			jobs = append(jobs, &probeJob{pid: pid, of: p, lib: p.libraries[at], probes: probes})
			delete(p.probes, at)
		}
	}
	c.start(jobs, takeAtOnce, func(j *probeJob) {
		j.at = time.Now()
		j.probes.Close()
	})
}

// start does jobs. settle takes what they did.
func (c *allocAccount) start(jobs []*probeJob, atOnce int, do func(*probeJob)) {
	changing := make(chan struct{})
	c.jobs, c.changing = jobs, changing
	todo := make(chan *probeJob, len(jobs))
	for _, j := range jobs {
		todo <- j
	}
	close(todo)
	var workers sync.WaitGroup
	for range min(atOnce, len(jobs)) {
		workers.Go(func() {
			for j := range todo {
				do(j)
			}
		})
	}
	go func() {
		workers.Wait()
		close(changing)
	}()
}

// settle is called when jobs are done. A window begins when the mean probe is in place; it ends when the last begins to
// be taken away: from then on no thread runs into it, and the kernel only waits for those that have.
func (c *allocAccount) settle(a *Allocations, now time.Time) {
	c.changing = nil
	if !c.attached {
		for _, j := range c.jobs {
			if j.at.After(c.governor.since) {
				now = j.at
			}
		}
		c.close(a, now)
		return
	}
	var put int64
	var late time.Duration
	for _, j := range c.jobs {
		switch {
		case j.err == nil && j.of.probes == nil: // it has gone meanwhile
			a.closing.Go(func() { j.probes.Close() })
		case j.err == nil:
			j.of.probes[j.lib.inode] = j.probes
			put++
			late += now.Sub(j.at)
		case errors.Is(j.err, os.ErrNotExist), errors.Is(j.err, loader.ErrStopped): // the process has gone; we go
			delete(j.of.libraries, j.lib.inode)
		default:
			a.fail(fmt.Errorf("process %d, %s: %w", j.pid, j.lib.name, j.err))
			delete(j.of.libraries, j.lib.inode) // another look tries again
		}
	}
	if put > 0 && c.governor.since.IsZero() {
		c.open(a, now.Add(-late/time.Duration(put)))
	}
}

// open begins a window.
func (c *allocAccount) open(a *Allocations, now time.Time) {
	c.governor.open(now)
	c.hot = now.Add(earlyTime)
	c.note(a, now)
}

// close ends a window.
func (c *allocAccount) close(a *Allocations, now time.Time) {
	c.governor.close(now)
	c.note(a, now)
}

// finish takes all probes away and waits until they are gone.
func (c *allocAccount) finish(a *Allocations) {
	if c.changing != nil {
		<-c.changing
		c.settle(a, time.Now())
	}
	if c.attached {
		c.detach()
		<-c.changing
		c.settle(a, time.Now())
	}
}

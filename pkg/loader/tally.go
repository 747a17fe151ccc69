package loader

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/ebpfprof/ebpfprof/pkg/loader/perfevent"
)

// A Tally counts perf events of threads and of what they start, or of whole CPUs, without any program: the kernel's own
// counters, as perf stat has them. It is not safe for concurrent use.
type Tally struct {
	events   []perfevent.Event
	groups   [][]int
	counters [][]perfevent.Counter // by event
	leaders  []perfevent.Counter
}

// NewTally prepares to count events. Nothing is counted before Add calls, and Start.
func NewTally(events []perfevent.Event) *Tally {
	return &Tally{events: events, groups: perfevent.Groups(events), counters: make([][]perfevent.Counter, len(events))}
}

// AddCPUs counts what every CPU that is online does, for the idle task too.
func (t *Tally) AddCPUs() error {
	cpus, err := onlineCPUs()
	if err != nil {
		return err
	}
	for _, cpu := range cpus {
		if err := t.add(-1, cpu, 0); err != nil {
			return fmt.Errorf("on CPU %d: %w", cpu, err)
		}
	}
	return nil
}

// AddThread counts what a thread does from Start on, and with it all threads and processes that it starts.
//
// Errors: wraps unix.ESRCH when there is no such thread.
func (t *Tally) AddThread(tid int) error {
	if err := t.add(tid, -1, unix.PerfBitInherit); err != nil {
		return fmt.Errorf("on thread %d: %w", tid, err)
	}
	return nil
}

// AddNextCommand counts what the next commands do that the calling thread starts, each from its exec on. The caller has
// locked the goroutine to the thread; it needs no Start.
func (t *Tally) AddNextCommand() error {
	return t.add(0, -1, unix.PerfBitInherit|unix.PerfBitEnableOnExec)
}

func (t *Tally) add(tid, cpu int, bits uint64) error {
	for _, group := range t.groups {
		var leader *perfevent.Counter
		for _, i := range group {
			attr := t.events[i].Attr()
			attr.Bits |= bits
			if leader != nil {
				attr.Bits &^= unix.PerfBitEnableOnExec
			}
			counter, err := perfevent.Open(attr, tid, cpu, leader)
			if errors.Is(err, unix.ENOENT) && cpu >= 0 && len(t.counters[i]) > 0 {
				continue // another kind of core, which does not count it
			}
			if err != nil {
				return fmt.Errorf("%w: count event %s: %w", ErrKernel, t.events[i].Name, err)
			}
			t.counters[i] = append(t.counters[i], counter)
			if leader == nil {
				leader = &counter
				t.leaders = append(t.leaders, counter)
			}
		}
	}
	return nil
}

// Start lets what was added count.
func (t *Tally) Start() error {
	for _, c := range t.leaders {
		if err := c.Enable(); err != nil {
			return err
		}
	}
	return nil
}

// Read returns the counts since Start, in the order of events.
func (t *Tally) Read() ([]perfevent.Count, error) {
	sums := make([]perfevent.Count, len(t.events))
	for i, counters := range t.counters {
		for _, counter := range counters {
			n, err := counter.Read()
			if err != nil {
				return nil, fmt.Errorf("event %s: %w", t.events[i].Name, err)
			}
			sums[i] = sums[i].Add(n)
		}
	}
	return sums, nil
}

// Close ends the counters.
func (t *Tally) Close() error {
	for _, counters := range t.counters {
		for _, counter := range counters {
			counter.Close()
		}
	}
	t.counters, t.leaders = nil, nil
	return nil
}

// Supported divides events into those that this machine can count and, by index, why it cannot count the others. Each is
// tried, and must move if nothing can run without it.
func Supported(events []perfevent.Event) (can []perfevent.Event, cannot map[int]*perfevent.UnsupportedError) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cannot = map[int]*perfevent.UnsupportedError{}
	for i, e := range events {
		if _, err := perfevent.Try(e); err != nil {
			cannot[i] = perfevent.Unsupported(e, err)
			continue
		}
		can = append(can, e)
	}
	return can, cannot
}

package loader

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/ebpfprof/ebpfprof/pkg/loader/perfevent"
)

// nsPerTick is a unit of the start time in /proc/PID/stat (USER_HZ = 100).
const nsPerTick = 10_000_000

// A CountRow is what one process, or thread, made the events move by since the last reading.
type CountRow struct {
	PID, TID   int // in the profiler's PID namespace; TID is 0 for a process
	TGID       int // in the initial PID namespace
	Parent     int // TGID of the parent when it first ran
	StartTicks uint64
	StartNs    uint64 // CLOCK_BOOTTIME
	Comm       string // of the main thread, or the thread
	Cgroup     uint64 // in the v2 hierarchy; 0 where there is none
	Gone       bool   // it has exited and is not seen again
	CountSet
}

// A CountSet is time on CPUs, and the counts of all events, in the order of CountingOptions.Events. Enabled is the time
// on CPUs, and Running that in which the event was on the PMU.
type CountSet struct {
	RanNs  uint64
	Counts []perfevent.Count
}

// Counted is what all CPUs did since the last reading. Its rows and sums add up to the counters of all CPUs.
type Counted struct {
	Rows    []CountRow
	Idle    CountSet // no process
	Outside CountSet // processes that are no target
	Other   CountSet // processes that found no room; 0 unless Full
	Full    uint64   // slices of time of such processes
	// Switches of processes and threads, and how many of them needed no reading: between threads of one process.
	Switches, Skipped uint64
	Unread            uint64 // readings of counters that failed
	RunNs             uint64 // in the program that counts, estimated from one switch in 64
}

// countedCPU is what was last read of a CPU.
type countedCPU struct {
	idle, outside, other                      bpfProfCountSet
	switches, skipped, full, unread, runNanos uint64
}

// Read returns what was counted since the last Read, or since Start. What runs at this moment is charged up to it.
// Rows come once more after their process has exited; those without any news do not come.
//
// It costs an interrupt on each CPU and two system calls for each process that ran.
func (c *Counting) Read() (Counted, error) {
	if err := c.syncCPUs(); err != nil {
		return Counted{}, err
	}
	for cpu := range c.counters {
		if err := c.flush(cpu); err != nil {
			return Counted{}, err
		}
	}
	var n Counted
	if err := c.readCPUs(&n); err != nil {
		return Counted{}, err
	}
	return n, c.readRows(&n)
}

// flush charges what runs on a CPU now. BPF_F_TEST_RUN_ON_CPU (5.10) runs the program there, in an interrupt.
func (c *Counting) flush(cpu int) error {
	const onCPU = 1 << 0
	_, err := c.coll.Programs[bpfProgCountFlush].Run(&ebpf.RunOptions{CPU: uint32(cpu), Flags: onCPU})
	if err != nil {
		if online, cpuErr := onlineCPUs(); cpuErr == nil && !slices.Contains(online, cpu) {
			return nil
		}
		return fmt.Errorf("%w: charge what runs on CPU %d: %w", ErrKernel, cpu, err)
	}
	return nil
}

func (c *Counting) readCPUs(n *Counted) error {
	var perCPU []bpfProfCountCpu
	if err := c.coll.Maps[bpfMapCountCpus].Lookup(uint32(0), &perCPU); err != nil {
		return fmt.Errorf("read counts of CPUs: %w", err)
	}
	zero := make([]perfevent.Count, len(c.events))
	n.Idle.Counts, n.Outside.Counts, n.Other.Counts = zero, append(zero[:0:0], zero...), append(zero[:0:0], zero...)
	for i := range perCPU {
		p, last := &perCPU[i], &c.cpus[i]
		c.add(&n.Idle, &p.Idle, &last.idle)
		c.add(&n.Outside, &p.Outside, &last.outside)
		c.add(&n.Other, &p.Other, &last.other)
		n.Switches += p.Switches - last.switches
		n.Skipped += p.Skipped - last.skipped
		n.Full += p.Full - last.full
		n.Unread += p.Unread - last.unread
		n.RunNs += p.RunNs - last.runNanos
		*last = countedCPU{p.Idle, p.Outside, p.Other, p.Switches, p.Skipped, p.Full, p.Unread, p.RunNs}
	}
	return nil
}

func (c *Counting) readRows(n *Counted) error {
	rows := c.coll.Maps[bpfMapCountRows]
	var key bpfProfCountKey
	var row bpfProfCountRow
	var gone []bpfProfCountKey // removed when all was looked at, as the search goes on from a key
	it := rows.Iterate()
	for it.Next(&key, &row) {
		last := c.known[key]
		if row.Gone != 0 {
			gone = append(gone, key)
		} else if row.Set == last {
			continue
		}
		r := CountRow{
			PID: int(row.Pid), TID: int(row.Tid), TGID: int(key.Tgid), Parent: int(row.Parent),
			StartTicks: key.StartNs / nsPerTick, StartNs: key.StartNs,
			Comm: commString(row.Comm[:]), Cgroup: row.Cgroup, Gone: row.Gone != 0,
		}
		r.Counts = make([]perfevent.Count, len(c.events))
		c.add(&r.CountSet, &row.Set, &last)
		c.known[key] = row.Set
		n.Rows = append(n.Rows, r)
	}
	// Aborted: so many came while it looked that it gave up. What it missed comes with the next reading.
	if err := it.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		return fmt.Errorf("read counts of processes: %w", err)
	}
	for _, key := range gone {
		_ = rows.Delete(&key) // nobody else deletes
		delete(c.known, key)
	}
	return nil
}

// add adds to sum what now is more than last.
func (c *Counting) add(sum *CountSet, now, last *bpfProfCountSet) {
	ran := now.RanNs - last.RanNs
	sum.RanNs += ran
	for i := range sum.Counts {
		missed := min(ran, now.Counts[i].MissedNs-last.Counts[i].MissedNs)
		sum.Counts[i] = sum.Counts[i].Add(perfevent.Count{
			Value: now.Counts[i].Value - last.Counts[i].Value, Enabled: ran, Running: ran - missed,
		})
	}
}

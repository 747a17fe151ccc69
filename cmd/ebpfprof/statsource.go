package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebpfprof/ebpfprof/pkg/agent"
	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/loader/perfevent"
)

// A countTable is what was counted up to a moment. Its rows add up to the total.
type countTable struct {
	elapsed time.Duration // since the start
	from    time.Duration // since the start, of the first count
	total   []perfevent.Count
	rows    map[countKey][]perfevent.Count
	full    uint64 // slices of time of processes that got no row
}

// A countKey names a row.
type countKey struct {
	name     string // of the service, process or thread
	pid, tid int
	start    uint64 // a number that was used again is another process
}

func (t *countTable) add(u countTable) {
	t.elapsed, t.full = u.elapsed, t.full+u.full
	t.total = addCounts(t.total, u.total)
	for key, counts := range u.rows {
		t.put(key, counts)
	}
}

func (t *countTable) put(key countKey, counts []perfevent.Count) {
	if t.rows == nil {
		t.rows = map[countKey][]perfevent.Count{}
	}
	t.rows[key] = addCounts(t.rows[key], counts)
}

func addCounts(a, b []perfevent.Count) []perfevent.Count {
	if a == nil {
		return slices.Clone(b)
	}
	for i := range b {
		a[i] = a[i].Add(b[i])
	}
	return a
}

// open chooses how to count: the kernel's own counters are exact and cheap for a command, processes and the whole
// machine; programs tell services and processes apart, and control groups.
func (c *counting) open() error {
	t := c.targets
	machine := len(t.PIDs) == 0 && t.Comm == nil && t.Cgroup == "" && t.Container == "" && t.Unit == "" && !t.Child
	if c.per == "" && (machine || t.Child || len(t.PIDs) > 0) {
		c.source = &tallySource{counting: c, tally: loader.NewTally(c.events)}
		return nil
	}
	filter, err := t.Filter(c.fs)
	if err != nil {
		return &exitError{exitFailed, err}
	}
	if filter.Kind == loader.FilterComm {
		filter = loader.Filter{} // rows are chosen by name
	}
	inode, _, err := c.fs.PIDNamespace()
	if err != nil {
		return err
	}
	programs, err := loader.OpenCounting(loader.CountingOptions{
		Events: c.events, Filter: filter, Namespace: inode, Threads: c.per == perThread,
	})
	if err != nil {
		return err
	}
	s := &programSource{counting: c, programs: programs, whole: machine, family: map[int]bool{}}
	if c.per == perService {
		s.services = agent.NewServiceCounts(agent.IdentifyByProc(c.fs))
	}
	c.source = s
	return nil
}

// A tallySource counts with the kernel's own counters.
type tallySource struct {
	counting *counting
	tally    *loader.Tally
	last     []perfevent.Count
}

func (s *tallySource) begin() (err error) {
	c := s.counting
	switch t := c.targets; {
	case t.Child:
		c.child, err = startCounted(c.command, c.runAs, func() error {
			c.started = time.Now()
			return countOrNil(s.tally.AddNextCommand())
		})
		return err
	case len(t.PIDs) > 0:
		err = s.addProcesses(t.PIDs)
	default:
		err = s.tally.AddCPUs()
	}
	if err != nil {
		return err
	}
	return c.hold(func() error {
		c.started = time.Now()
		return s.tally.Start()
	})
}

// hold starts the command, if there is one, and lets it run when start has succeeded.
func (c *counting) hold(start func() error) error {
	if len(c.command) == 0 {
		return start()
	}
	var err error
	if c.child, err = startChild(c.command, c.runAs); err != nil {
		return err
	}
	if err := start(); err != nil {
		c.child.kill()
		return err
	}
	c.child.release()
	return nil
}

func countOrNil(err error) error {
	if err == nil {
		return nil
	}
	return countError(err)
}

// addProcesses adds every thread of processes and of their descendants. Threads and children that they start from now on
// are included by the kernel.
func (s *tallySource) addProcesses(pids []int) error {
	all, err := s.counting.fs.Descendants(pids...)
	if err != nil {
		return fmt.Errorf("find processes: %w", err)
	}
	threads := 0
	for _, pid := range all {
		tids, err := s.counting.fs.ThreadIDs(pid)
		if err != nil {
			continue // gone meanwhile
		}
		for _, tid := range tids {
			switch err := s.tally.AddThread(tid); {
			case err == nil:
				threads++
			case !errors.Is(err, unix.ESRCH): // exits, or has
				return err
			}
		}
	}
	if threads == 0 { // a count of nobody would be 0
		return &exitError{exitFailed, fmt.Errorf("count processes %v: all of them have exited", pids)}
	}
	return nil
}

func (s *tallySource) read() (countTable, error) {
	now, err := s.tally.Read()
	if err != nil {
		return countTable{}, err
	}
	step := slices.Clone(now)
	for i := range s.last {
		step[i] = now[i].Sub(s.last[i])
	}
	s.last = now
	return countTable{total: step}, nil
}

func (s *tallySource) Close() error { return s.tally.Close() }

// A programSource counts by process, in programs.
type programSource struct {
	counting *counting
	programs *loader.Counting
	services *agent.ServiceCounts // nil: rows are processes or threads
	whole    bool                 // idle time and what got no row belong to the target
	family   map[int]bool         // with --comm: processes that match and their children, by their number
}

func (s *programSource) begin() error {
	c := s.counting
	return c.hold(func() error {
		if c.targets.Child {
			if err := s.programs.AddTarget(c.child.pid(), 0); err != nil {
				return err
			}
		}
		if len(c.targets.PIDs) > 0 {
			if err := c.targets.Seed(c.fs, s.programs); err != nil {
				return err
			}
		}
		c.started = time.Now()
		return s.programs.Start()
	})
}

// Names of rows that are no process.
const (
	idleRow  = "[idle]"
	otherRow = "other"
)

func (s *programSource) read() (countTable, error) {
	n, err := s.programs.Read()
	if err != nil {
		return countTable{}, err
	}
	t := countTable{full: n.Full}
	if s.counting.targets.Comm != nil {
		n.Rows = s.keepFamily(n.Rows)
		n.Other = loader.CountSet{Counts: make([]perfevent.Count, len(s.counting.events))}
	}
	if s.services != nil {
		for name, set := range s.services.Sum(n) {
			t.put(countKey{name: name}, set.Counts)
		}
	} else {
		for _, r := range n.Rows {
			t.put(countKey{r.Comm, r.PID, r.TID, r.StartNs}, r.Counts)
		}
		if n.Other.RanNs > 0 {
			t.put(countKey{name: otherRow}, n.Other.Counts)
		}
	}
	if s.whole {
		t.put(countKey{name: idleRow}, n.Idle.Counts)
	}
	t.total = make([]perfevent.Count, len(s.counting.events))
	for _, counts := range t.rows {
		t.total = addCounts(t.total, counts)
	}
	return t, nil
}

// keepFamily leaves the rows of processes that match by name, and of their children.
func (s *programSource) keepFamily(rows []loader.CountRow) []loader.CountRow {
	for grown := true; grown; { // parents may come after their children
		grown = false
		for _, r := range rows {
			if !s.family[r.TGID] && (s.counting.targets.Comm.MatchString(r.Comm) || s.family[r.Parent]) {
				s.family[r.TGID], grown = true, true
			}
		}
	}
	kept := slices.DeleteFunc(slices.Clone(rows), func(r loader.CountRow) bool { return !s.family[r.TGID] })
	for _, r := range rows {
		if r.Gone && r.TID == 0 {
			delete(s.family, r.TGID)
		}
	}
	return kept
}

func (s *programSource) Close() error { return s.programs.Close() }

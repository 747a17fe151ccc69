package loader

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/ebpfprof/ebpfprof/pkg/loader/perfevent"
)

// syncCPUs gives counters to CPUs that came, and takes them from CPUs that went. Before Start they stand still.
func (c *Counting) syncCPUs() error {
	cpus, err := onlineCPUs()
	if err != nil {
		return err
	}
	online := map[int]bool{}
	for _, cpu := range cpus {
		online[cpu] = true
		if _, ok := c.counters[cpu]; ok {
			continue
		}
		err := c.openCPU(cpu)
		if errors.Is(err, unix.ENODEV) && len(c.counters) > 0 {
			continue // went offline in between
		}
		if err != nil {
			return err
		}
	}
	for cpu := range c.counters {
		if !online[cpu] {
			c.closeCPU(cpu)
		}
	}
	return nil
}

// openCPU opens the counters of a CPU and lets the programs read them. An event that only other CPUs can count, as on
// processors with two kinds of cores, stays closed on this one: there, nothing of it is on the PMU.
func (c *Counting) openCPU(cpu int) error {
	counters := make([]*perfevent.Counter, len(c.events))
	c.counters[cpu] = counters
	var lead []perfevent.Counter
	var failed error
	for _, group := range c.groups {
		var leader *perfevent.Counter
		for _, i := range group {
			counter, err := perfevent.Open(c.events[i].Attr(), -1, cpu, leader)
			if err != nil {
				failed = errors.Join(failed, fmt.Errorf("%w: count event %s on CPU %d: %w", ErrKernel, c.events[i].Name, cpu, err))
				continue
			}
			if leader == nil {
				leader = &counter
				lead = append(lead, counter)
			}
			counters[i] = &counter
			if err := c.coll.Maps[countEventMap(i)].Put(uint32(cpu), uint32(counter.FD())); err != nil {
				c.closeCPU(cpu)
				return fmt.Errorf("give counter %s of CPU %d to the programs: %w", c.events[i].Name, cpu, err)
			}
		}
	}
	if len(lead) == 0 || failed != nil && len(c.counters) == 1 && !countedElsewhere(failed) {
		c.closeCPU(cpu)
		return failed
	}
	c.leaders[cpu] = lead
	if c.started {
		return c.enableCPU(cpu)
	}
	return nil
}

func (c *Counting) enableCPU(cpu int) error {
	for _, leader := range c.leaders[cpu] {
		if err := leader.Enable(); err != nil {
			c.closeCPU(cpu)
			return fmt.Errorf("on CPU %d: %w", cpu, err)
		}
	}
	return nil
}

// countedElsewhere tells an event that this CPU does not have from other errors.
func countedElsewhere(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP)
}

func (c *Counting) closeCPU(cpu int) {
	for i, counter := range c.counters[cpu] {
		if counter != nil {
			_ = c.coll.Maps[countEventMap(i)].Delete(uint32(cpu))
			counter.Close()
		}
	}
	delete(c.counters, cpu)
	delete(c.leaders, cpu)
}

package loader

import (
	"fmt"
	"time"

	"github.com/cilium/ebpf"
)

// Reasons of samples that were lost: the ring had no room for them; of the event off-cpu, the thread woke while its stack was
// read; the stack was to be walked when the thread goes on, which it had not
// when sampling ended; the stack was sent when the wait began,
// and had no room in memory.
const (
	LostRingFull = "ring_full"
	LostWoken    = "woken"
	LostPending  = "pending"
	LostUnpaired = "unpaired"
)

// Counters is what the kernel side counted of one event since Start. Fired = Samples + sum(Lost), always.
type Counters struct {
	Fired   uint64            // events that hit a target
	Samples uint64            // delivered
	Lost    map[string]uint64 // by reason; the caller's
	// Refused counts samples of the event off-cpu without a user part, because a walk was due in the thread already.
	Refused uint64
	// Missed counts overflows for which the kernel ran no program, whomever they hit, where MissedKnown. Those that hit a
	// target for certain, faults while every process is one, are in Fired and Lost too; of others that is not known.
	Missed      uint64
	MissedKnown bool
	Idle        uint64 // events on the idle task
	Filtered    uint64 // events on what is no target
	TargetsFull uint64 // children of targets that could not be followed
	Wakeups     uint64
	Files       uint64
	RunTime     time.Duration // in our programs, all CPUs
}

// Counters sums the counters of all CPUs for the event of that number in Options.Events. It is exact once Stop has
// returned and Run has ended.
func (s *Sampler) Counters(event int) (Counters, error) {
	if s.offcpu != nil && event == s.offcpu.event {
		return s.offCPUCounters()
	}
	counted := s.events[event].counted()
	c := Counters{Lost: map[string]uint64{}}
	perCPU, err := s.addCounters(&c, event)
	if err != nil {
		return Counters{}, err
	}
	c.Missed, c.MissedKnown = s.events[event].missed(counted, perCPU)
	if c.MissedKnown {
		c.Missed = s.mostMissed(event, c.Missed)
		if s.filter.Kind == FilterNone && s.events[event].event.isFault() {
			c.Lost[LostMissed] = c.Missed
			c.Fired += c.Missed
		}
	}
	s.reject(&c, event)
	return c, nil
}

// reject takes out samples that were of no target.
func (s *Sampler) reject(c *Counters, event int) {
	rejected := s.rejected[event].Load()
	c.Fired -= rejected
	c.Samples -= rejected
	c.Filtered += rejected
}

// offCPUCounters are of the event off-cpu: those of the visits have an entry of their own.
func (s *Sampler) offCPUCounters() (Counters, error) {
	c := Counters{Lost: map[string]uint64{}}
	var deferred, returned uint64
	for _, entry := range []int{s.offcpu.event, maxEvents} {
		perCPU, err := s.addCounters(&c, entry)
		if err != nil {
			return Counters{}, err
		}
		for i := range perCPU {
			c.Refused += perCPU[i].Refused
			c.Lost[LostWoken] += perCPU[i].LostWoken
			deferred += perCPU[i].Deferred
			returned += perCPU[i].Returned
		}
	}
	// A walk that is due is no loss before sampling has ended, and no event either: both only grow.
	if pending := deferred - min(returned, deferred); s.offcpu.ended.Load() {
		c.Lost[LostPending] = pending
	} else {
		c.Fired -= min(pending, c.Fired)
	}
	unpaired := s.unpaired.Load()
	c.Samples -= unpaired
	c.Lost[LostUnpaired] = unpaired
	s.reject(&c, s.offcpu.event)
	for _, reason := range []string{LostWoken, LostPending, LostUnpaired} {
		if c.Lost[reason] == 0 {
			delete(c.Lost, reason)
		}
	}
	return c, nil
}

// addCounters adds one entry of the map and returns it by CPU.
func (s *Sampler) addCounters(c *Counters, entry int) ([]bpfProfCounters, error) {
	var perCPU []bpfProfCounters
	if err := s.coll.Maps[bpfMapCounters].Lookup(uint32(entry), &perCPU); err != nil {
		return nil, fmt.Errorf("read counters: %w", err)
	}
	for i := range perCPU {
		p := &perCPU[i]
		c.Fired += p.Fired
		c.Samples += p.Samples
		c.Lost[LostRingFull] += p.LostRingFull
		if p.LostBusy > 0 {
			c.Lost[LostBusy] += p.LostBusy
		}
		c.Idle += p.Idle
		c.Filtered += p.Filtered
		c.TargetsFull += p.TargetsFull
		c.Wakeups += p.Wakeups
		c.Files += p.Files
		c.RunTime += time.Duration(p.RunNs)
	}
	return perCPU, nil
}

// mostMissed is the largest number so far: what was lost stays lost, also when a mean period has changed since.
func (s *Sampler) mostMissed(event int, now uint64) uint64 {
	for {
		most := s.missed[event].Load()
		if now <= most {
			return most
		}
		if s.missed[event].CompareAndSwap(most, now) {
			return now
		}
	}
}

// LostTotal is the sum over all reasons.
func (c Counters) LostTotal() (n uint64) {
	for _, lost := range c.Lost {
		n += lost
	}
	return n
}

// KernelBytes is the memory that the maps and unwind tables hold in the kernel, as it charges it.
func (s *Sampler) KernelBytes() uint64 {
	return uint64(s.TableBytes()) + kernelBytes(s.coll)
}

func kernelBytes(coll *ebpf.Collection) (sum uint64) {
	for _, m := range coll.Maps {
		if info, err := m.Info(); err == nil {
			if n, ok := info.Memlock(); ok {
				sum += n
			}
		}
	}
	return sum
}

// CPUs is the number of CPUs that are, or were, sampled.
func (s *Sampler) CPUs() int {
	most := 0
	for _, e := range s.events {
		most = max(most, e.count())
	}
	return most
}

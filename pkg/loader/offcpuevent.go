package loader

import (
	"errors"
	"fmt"
	"time"
)

// typeOffCPU is the type of the event off-cpu, which is none of perf's (they are small, and those of PMUs below 2^31).
const typeOffCPU = 1 << 31

// offCPUName is the event's name.
const offCPUName = "off-cpu"

// OffCPUEvent is the event "off-cpu": the time in which threads do not run. One stack is sampled for each mean of it;
// 0: DefaultOffCPUMean.
func OffCPUEvent(mean time.Duration) Event {
	if mean == 0 {
		mean = DefaultOffCPUMean
	}
	return Event{Name: offCPUName, Type: typeOffCPU, Period: uint64(mean)}
}

// IsOffCPU reports whether the event is off-cpu.
func (e Event) IsOffCPU() bool { return e.Type == typeOffCPU }

// Bounds of OffCPU.Mean: the quantiles' differences are multiplied by 2^22.
const (
	minOffCPUMean = time.Microsecond
	maxOffCPUMean = 1000 * time.Second
)

// enterOffCPU makes the option and the event say the same.
func (o *Options) enterOffCPU() error {
	at := -1
	for i, e := range o.Events {
		if e.IsOffCPU() && at >= 0 {
			return errors.New("event off-cpu: want it once")
		}
		if e.IsOffCPU() {
			at = i
		}
	}
	if at < 0 && o.OffCPU.On {
		at = len(o.Events)
		o.Events = append(o.Events[:at:at], OffCPUEvent(o.OffCPU.Mean))
	}
	if at < 0 {
		return nil
	}
	o.OffCPU.On, o.OffCPU.event = true, at
	if o.OffCPU.Mean == 0 {
		o.OffCPU.Mean = time.Duration(o.Events[at].Period)
	}
	if o.OffCPU.Visit == 0 {
		o.OffCPU.Visit = DefaultOffCPUVisit
	}
	if m := o.OffCPU.Mean; m < minOffCPUMean || m > maxOffCPUMean {
		return fmt.Errorf("event off-cpu: a stack for each %s: want %s to %s", m, minOffCPUMean, maxOffCPUMean)
	}
	return nil
}

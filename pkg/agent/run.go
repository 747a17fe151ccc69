package agent

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// errFlush is why a sink's context ends.
var errFlush = errors.New("no time left to flush")

// Run starts the sampler s and collects until ctx ends; then it stops the sampler, reads what is left, closes the last
// window, and returns when the sinks have taken it, or after CollectorOptions.Flush. It closes neither s nor the sinks,
// and leaves nothing running that uses them, but a Put that ignores its context. It can be called once.
func (c *Collector) Run(ctx context.Context, s Sampler) error {
	if c.options.Tables != nil {
		c.unwinding = newUnwinding(c.options.Tables, c.options.TableBudget, c.options.TableCache)
	}
	// Read by no one else yet. What is to be compiled is only queued: a service must not wait for a profiler.
	c.prepare(0, c.options.PIDs...)
	flush, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(errFlush)
	for _, sink := range c.sinks {
		go sink.run(flush)
	}
	named := make(chan struct{})
	go func() { defer close(named); c.nameWindows() }()
	for _, f := range c.live {
		go f.run()
	}

	c.begin()
	err := s.Start()
	if err == nil {
		stop := context.AfterFunc(ctx, s.Stop)
		err = s.Run(c)
		stop()
	}
	deadline := time.Now().Add(c.options.Flush)
	// Half of the time for names, the other half for the sinks.
	hurry := time.AfterFunc(c.options.Flush/2, func() { c.namer.hurry.Store(true) })
	defer hurry.Stop()
	c.finish()
	c.flush(deadline, named, cancel)
	c.discovery.close(max(0, time.Until(deadline)))
	c.namer.mu.Lock()
	c.namer.close()
	c.namer.mu.Unlock()
	if err != nil {
		return fmt.Errorf("collect samples: %w", err)
	}
	return nil
}

// flush waits for the goroutines that name and those of the sinks, until deadline.
func (c *Collector) flush(deadline time.Time, named <-chan struct{}, cancel context.CancelCauseFunc) {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	late := false
	wait := func(done <-chan struct{}) bool {
		if !late {
			select {
			case <-done:
				return true
			case <-timer.C:
				late = true
				cancel(errFlush)
			}
		}
		select {
		case <-done:
			return true
		case <-time.After(cancelTime):
			return false
		}
	}
	if !wait(named) {
		c.log.Error("names of the last window were not found in time, it is dropped")
	}
	for _, s := range c.sinks {
		if !wait(s.done) {
			s.abandon()
		}
	}
	for _, f := range c.live {
		wait(f.done)
	}
}

// cancelTime is what a sink whose time is over gets to notice.
const cancelTime = 50 * time.Millisecond

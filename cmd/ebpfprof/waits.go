package main

import (
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/agent"
	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/metrics"
)

// waits are the exact times in which services did not run, for /metrics.
type waits struct {
	services *agent.ServiceWaits
	totals   metrics.WaitTotals
}

// add takes what a visit of all threads has found. It is an OffCPU.Visited.
func (w *waits) add(t *loader.OffCPUTotals) {
	waited := map[string]metrics.Waits{}
	for service, times := range w.services.Add(t) {
		seconds := map[string]float64{}
		for d := range loader.Doings {
			if d := loader.Doing(d); d != loader.Running {
				seconds[d.String()] = times.In[d].Seconds()
			}
		}
		waited[service] = metrics.Waits{Seconds: seconds, Queued: queued(times)}
	}
	w.totals.Add(time.Now(), waited)
}

// queueBounds is the number of bounds in /metrics, each four times the one before, from 4.096 us to 4.3 s: one for eight
// of the kernel side's buckets, as each service pays for all of them.
const (
	queueBounds = 11
	firstBound  = 4 // bucket that begins at the first bound
)

func queued(times *loader.Times) metrics.Histogram {
	h := metrics.Histogram{Counts: make([]uint64, queueBounds+1), Sum: times.In[loader.Runqueue].Seconds()}
	for i := range queueBounds {
		h.Bounds = append(h.Bounds, loader.RunqueueBucket(firstBound+8*i).Seconds())
	}
	for bucket, n := range times.Runqueue {
		at := (bucket - firstBound + 8) / 8
		h.Counts[min(max(at, 0), queueBounds)] += n
	}
	return h
}

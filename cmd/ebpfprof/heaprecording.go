package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	pprof "github.com/google/pprof/profile"
	"golang.org/x/sys/unix"

	"github.com/ebpfprof/ebpfprof/pkg/agent"
)

// runHeap is run when the heap is all that is asked for: nothing is loaded into the kernel.
func (r *recording) runHeap(ctx context.Context) error {
	for _, pid := range r.targets.PIDs {
		if _, err := r.fs.Process(pid); err != nil {
			return &exitError{exitFailed, fmt.Errorf("no process %d: %w", pid, err)}
		}
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer signal.Stop(signals)
	pid := 0
	if len(r.command) > 0 {
		var err error
		if r.child, err = startChild(r.command, r.runAs); err != nil {
			return err
		}
		r.child.release()
		pid = r.child.pid()
	}
	r.started = time.Now()
	r.heap.start(pid)
	r.waitHeap(ctx, signals)
	duration := time.Since(r.started)
	heap := r.endHeap()
	failed := heap.failed
	if heap.profile == nil {
		return r.end(failed, signals, nil)
	}
	for _, o := range r.outputs {
		failed = errors.Join(failed, o.write(heap.profile, nil, r.owner))
	}
	if r.push != nil {
		failed = errors.Join(failed, r.push.push(context.Background(), heap.profile, 0))
	}
	summary := agent.Summary{
		DurationSeconds: duration.Seconds(), CPUs: r.cpus(), Events: map[string]agent.EventSummary{},
		Heap: heap.summary, Overhead: agent.MeasureOverhead(0, 0),
	}
	failed = errors.Join(failed, r.writeSummary(summary))
	if !r.quiet {
		r.reportOutputs()
		reportHeap(heap.summary)
	}
	var none error
	if heap.summary.Processes == 0 {
		none = noHeap(*heap.summary)
	}
	if none != nil && r.unprobed != nil && r.child == nil {
		return &exitError{exitUnsupported, errors.Join(r.unprobed, failed)}
	}
	return r.end(failed, signals, none)
}

func (r *recording) cpus() int {
	cpus, _ := r.fs.OnlineCPUs() // 0: not known
	return len(cpus)
}

// waitHeap returns when the recording is over.
func (r *recording) waitHeap(ctx context.Context, signals <-chan os.Signal) {
	var timeout <-chan time.Time
	if r.duration > 0 {
		t := time.NewTimer(r.duration)
		defer t.Stop()
		timeout = t.C
	}
	look := time.NewTicker(targetInterval)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
		case <-timeout:
		case <-r.child.done():
		case sig := <-signals:
			if r.child != nil {
				r.child.signal(sig) // it decides when to end
				continue
			}
		case <-look.C:
			if r.targetsLive() {
				continue
			}
		}
		return
	}
}

// A heapResult is the heap of a recording. Profile and summary are nil if the targets could not be listed.
type heapResult struct {
	profile *pprof.Profile
	summary *agent.HeapSummary
	failed  error
}

// endHeap takes the last look and undoes what was enabled.
func (r *recording) endHeap() heapResult {
	if err := r.heap.end(); err != nil {
		return heapResult{failed: errors.Join(err, r.heap.close())}
	}
	p, summary := r.heap.heaps.Profile(time.Now(), "")
	return heapResult{p, &summary, r.heap.close()}
}

// reportHeap prints what the heap is of. Of many processes, only what is Go's is told one by one.
func reportHeap(s *agent.HeapSummary) {
	const told = 5
	for i, w := range s.Without {
		if i == told {
			fmt.Fprintf(os.Stderr, "no heap of %d more processes; the profile's comments and --summary say why\n", s.WithoutTotal-told)
			break
		}
		fmt.Fprintf(os.Stderr, "no heap of process %d (%s): %s\n", w.PID, w.Comm, w.Reason)
	}
	fmt.Fprintf(os.Stderr, "heap: %d Go processes, %d stacks, %.1f MiB in use, %.1f MiB allocated since they began, read in %.1f ms\n",
		s.Processes, s.Stacks, float64(s.InuseBytes)/(1<<20), float64(s.AllocBytes)/(1<<20), s.ReadSeconds*1e3)
}

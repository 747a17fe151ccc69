package probe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cilium/ebpf/rlimit"
)

// Options bound a run. The zero value is right for a person who waits.
type Options struct {
	// Timeout is how long one probe may take; zero is 10 s. A probe that takes
	// longer is abandoned and reported as Unknown.
	Timeout time.Duration
}

const (
	// defaultTimeout: mostly a few milliseconds; but attaching fentry waits for
	// all tasks to have passed through RCU, over 2 s on an idle 6.1 machine.
	defaultTimeout = 10 * time.Second
	// parallel probes: attaching and detaching mostly waits for RCU.
	parallel = 8
)

// errTimeout is a probe that did not answer.
var errTimeout = errors.New("no answer in time")

// check is one probe.
type check struct {
	kind  Kind
	name  string
	run   func(ctx context.Context) (outcome, error)
	since string // the kernel version that brought it, to explain why it is missing
}

// outcome is what a probe found besides its error; detail may be empty.
type outcome struct {
	detail    string
	countOnly bool
}

// Run carries out every probe and returns one Result for each, always in the
// same order. Probes are independent: one that fails, hangs or panics is that
// one's result. Everything attached is detached again before Run returns, but
// for probes abandoned at their timeout or when ctx ends.
//
// On kernels before 5.11 Run raises RLIMIT_MEMLOCK of the process.
func Run(ctx context.Context, opts Options) []Result {
	if opts.Timeout <= 0 {
		opts.Timeout = defaultTimeout
	}
	// If it fails then so do the probes, each with its own error.
	_ = rlimit.RemoveMemlock()

	checks := slices.Concat([]check{btfCheck()}, hookChecks(), featureChecks(), eventChecks())
	results := make([]Result, len(checks))
	slots := make(chan struct{}, parallel)
	var all sync.WaitGroup
	for i, c := range checks {
		if i == 0 {
			// BTF is parsed once per process, while half of the probes would wait.
			results[i] = c.bounded(ctx, opts.Timeout)
			continue
		}
		slots <- struct{}{}
		all.Go(func() {
			results[i] = c.bounded(ctx, opts.Timeout)
			<-slots
		})
	}
	all.Wait()
	return results
}

// bounded runs c and waits for it no longer than timeout.
func (c check) bounded(ctx context.Context, timeout time.Duration) Result {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answer := make(chan Result, 1)
	go func() { answer <- c.guarded(ctx) }()
	select {
	case r := <-answer:
		return r
	case <-ctx.Done():
		err := ctx.Err()
		if errors.Is(err, context.DeadlineExceeded) {
			err = errTimeout
		}
		return c.result(outcome{}, err)
	}
}

// guarded runs c and turns a panic into a result: whatever a strange kernel
// answers, a diagnosis must come out.
func (c check) guarded(ctx context.Context) (r Result) {
	defer func() {
		if p := recover(); p != nil {
			r = c.result(outcome{}, fmt.Errorf("probe panicked: %v", p))
		}
	}()
	if err := ctx.Err(); err != nil {
		return c.result(outcome{}, err)
	}
	return c.result(c.run(ctx))
}

func (c check) result(o outcome, err error) Result {
	r := Result{Kind: c.kind, Name: c.name, Status: classify(err), CountOnly: o.countOnly, Detail: o.detail, Err: err}
	if r.Status == Missing && r.Detail == "" && c.since != "" {
		r.Detail = "exists since Linux " + c.since
	}
	return r
}

package export

import (
	"context"
	"errors"
	"fmt"
	"strings"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

// Push sends one interval now, trying again until ctx ends or the server refuses. It needs no Run and uses no spool.
// The error says how many profiles are not at the server and why; they count as dropped.
func (e *Exporter) Push(ctx context.Context, iv *prof.Interval) error {
	e.counters.change(func(s *Status) { s.Added += uint64(len(iv.Windows)) })
	var batches []batch
	t := e.encode(iv, func(b batch) { batches = append(batches, b) })
	var failed []error
	if t.err != nil {
		failed = append(failed, t.err)
	}
	for _, b := range batches {
		if err := e.pushOne(ctx, b); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// pushOne sends b until it is at the server, refused, or ctx ends.
func (e *Exporter) pushOne(ctx context.Context, b batch) error {
	pause := backoff{min: e.o.MinBackoff, max: e.o.MaxBackoff}
	var refused []error
	for {
		r := e.sender.post(ctx, b.body)
		v := e.protocol.judge(r, b)
		e.counters.request(r, v)
		if len(v.dropped) > 0 {
			refused = append(refused, fmt.Errorf("%s refused: %w", count(v.dropped), v.err))
		}
		if v.again == nil {
			return errors.Join(refused...)
		}
		b = *v.again
		select {
		case <-e.o.After(pause.next(v.wait)):
			continue
		case <-ctx.Done():
		}
		e.counters.drop(DropStopped, b.profiles, v.err)
		return errors.Join(append(refused, fmt.Errorf("%d profiles not pushed: %w", b.profiles, v.err))...)
	}
}

// count says how many profiles are dropped, by reason.
func count(dropped map[string]int) string {
	var s []string
	for _, reason := range Reasons() {
		if n := dropped[reason]; n > 0 {
			s = append(s, fmt.Sprintf("%d profiles (%s)", n, reason))
		}
	}
	return strings.Join(s, ", ")
}

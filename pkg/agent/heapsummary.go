package agent

import (
	"errors"
	"fmt"
	"time"
)

// HeapSummary says what a memory profile is of. Bytes are estimates, as in the profile.
type HeapSummary struct {
	Processes   int     `json:"processes"` // in the profile
	Stacks      int     `json:"stacks"`
	AllocBytes  int64   `json:"alloc_bytes"` // since the processes began
	InuseBytes  int64   `json:"inuse_bytes"`
	ReadSeconds float64 `json:"read_seconds"` // that reading took
	// Without are targets with no profile, and why; at most maxWithout are named.
	Without      []HeapWithout `json:"without,omitempty"`
	WithoutTotal int           `json:"without_total"`

	rate  int64
	notes []string
}

// A HeapWithout is a process that has no profile.
type HeapWithout struct {
	PID    int    `json:"pid"`
	Comm   string `json:"comm"`
	Reason string `json:"reason"`
}

// maxWithout is what is told one by one; a machine has hundreds of programs that are not Go's.
const maxWithout = 100

// summary reads what is known, and changes nothing.
func (g *GoHeaps) summary(at time.Time) HeapSummary {
	s := HeapSummary{ReadSeconds: g.cost.Seconds(), WithoutTotal: g.dropped}
	rates := map[int64]bool{}
	for _, key := range g.sorted() {
		w := g.watched[key]
		if w.heap == nil {
			if s.WithoutTotal++; len(s.Without) < maxWithout {
				s.Without = append(s.Without, HeapWithout{key.pid, w.comm, reasonOf(w.err)})
			}
			continue
		}
		s.Processes++
		for _, r := range w.heap.Records {
			if v := r.Scaled(w.heap.Rate); v != [4]int64{} {
				s.Stacks++
				s.AllocBytes += v[1]
				s.InuseBytes += v[3]
			}
		}
		if !rates[w.heap.Rate] {
			rates[w.heap.Rate] = true
			s.rate = max(s.rate, w.heap.Rate)
		}
		note := fmt.Sprintf("process %d (%s): %s", key.pid, w.comm, w.heap.Stats)
		if p, err := g.FS.Process(key.pid); err != nil || p.StartTicks != key.start {
			note += fmt.Sprintf("; it has ended, this is of %s before", at.Sub(w.at).Round(time.Millisecond))
		} else if w.err != nil {
			note += fmt.Sprintf("; of %s before, then: %s", at.Sub(w.at).Round(time.Millisecond), reasonOf(w.err))
		}
		if len(w.restores) > 0 {
			note += "; its profile was turned on for this recording: what it allocated before is not in it"
		}
		if len(s.notes) < maxWithout {
			s.notes = append(s.notes, note)
		}
	}
	if len(rates) > 1 {
		s.notes = append(s.notes, "the processes sample at different rates; each record is scaled by its own")
	}
	return s
}

// reasonOf is an error without the process, which is told beside it.
func reasonOf(err error) string {
	if err == nil {
		return "not read"
	}
	if inner := errors.Unwrap(err); inner != nil {
		err = inner
	}
	return err.Error()
}

func (s HeapSummary) comments() []string {
	comments := []string{"heap: inuse is of the last reading, alloc since each process began, both as of the last but one garbage collection"}
	comments = append(comments, s.notes...)
	for _, w := range s.Without {
		comments = append(comments, fmt.Sprintf("no heap of process %d (%s): %s", w.PID, w.Comm, w.Reason))
	}
	if more := s.WithoutTotal - len(s.Without); more > 0 {
		comments = append(comments, fmt.Sprintf("no heap of %d more processes", more))
	}
	return comments
}

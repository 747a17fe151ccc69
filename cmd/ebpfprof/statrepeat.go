package main

import (
	"cmp"
	"context"
	"io"
	"math"
	"os"
)

// A spread is what runs of one command have of a figure.
type spread struct {
	mean float64
	// deviation is the standard error of the mean, as perf stat has it: how far another set of as many runs would
	// be off, two times in three.
	deviation float64
	runs      int // that have the figure
}

// spreadOf needs two figures for a deviation.
func spreadOf(figures []float64) spread {
	s := spread{runs: len(figures)}
	if s.runs == 0 {
		return s
	}
	for _, v := range figures {
		s.mean += v / float64(s.runs)
	}
	if s.runs == 1 {
		return s
	}
	squares := 0.0
	for _, v := range figures {
		squares += (v - s.mean) * (v - s.mean)
	}
	s.deviation = math.Sqrt(squares / float64(s.runs-1) / float64(s.runs))
	return s
}

// percent is the deviation in per cent of the mean.
func (s spread) percent() float64 {
	if s.mean == 0 {
		return 0
	}
	return 100 * s.deviation / s.mean
}

// A repetition is what several runs of a command counted.
type repetition struct {
	runs    int
	seconds spread
	events  map[string]spread
}

// runRepeated runs the command again and again, and prints the means. Ratios are those of the sums. A command that
// fails is repeated all the same; a signal ends it all after the run that it came in.
func (c *counting) runRepeated(ctx context.Context, signals <-chan os.Signal, out io.Writer) error {
	var sum countTable
	var seconds []float64
	figures := map[string][]float64{}
	code := 0
	for len(seconds) < c.repeat && ctx.Err() == nil && !c.interrupted {
		if err := c.count(ctx, signals, out); err != nil {
			return err
		}
		code = cmp.Or(code, c.child.wait(signals))
		select {
		case <-signals: // came as the command ended
			c.interrupted = true
		default:
		}
		elapsed := sum.elapsed + c.total.elapsed
		sum.add(c.total)
		sum.elapsed = elapsed
		seconds = append(seconds, c.total.elapsed.Seconds())
		for i, n := range c.total.total {
			if v, ok := n.Scaled(); ok {
				name := c.events[i].Name
				figures[name] = append(figures[name], v)
			}
		}
	}
	c.repeated = &repetition{runs: len(seconds), seconds: spreadOf(seconds), events: map[string]spread{}}
	for name, values := range figures {
		c.repeated.events[name] = spreadOf(values)
	}
	c.total = sum
	if err := c.print(out, &c.total); err != nil {
		return err
	}
	return c.verdict(code)
}

// event returns the spread of an event, and whether the command was repeated.
func (r *repetition) event(name string) (spread, bool) {
	if r == nil {
		return spread{}, false
	}
	s := r.events[name]
	return s, s.runs > 0
}

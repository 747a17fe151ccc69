package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ebpfprof/ebpfprof/pkg/config"
	"github.com/ebpfprof/ebpfprof/pkg/loader"
)

func TestChooseEvents(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: tries events of a whole CPU")
	}
	events, refused, err := chooseEvents(config.Sampling{Frequency: 49, Events: []string{"cpu", "page-faults:100", "no_such:tracepoint", "alloc"}}, 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 3 || events[2].Period != 1<<16 || events[0].Frequency != 49 || events[1].Period != 100 {
		t.Errorf("events %+v", events)
	}
	if len(refused) != 1 || refused[0].Name != "no_such_tracepoint" || !strings.Contains(refused[0].Problem, "no such tracepoint") {
		t.Errorf("refused %+v", refused)
	}
	for _, names := range [][]string{{"cpu", "nonsense"}, {"cpu", "cpu-clock"}, {"no_such:tracepoint"}, {"cpu@0"}} {
		if _, _, err := chooseEvents(config.Sampling{Frequency: 49, Events: names}, 0); err == nil {
			t.Errorf("%v was taken", names)
		}
	}
}

// The daemon samples fewer waits than a recording, unless it is told.
func TestChooseOffCPU(t *testing.T) {
	for name, want := range map[string]uint64{"off-cpu": 1e9, "off-cpu:5000000": 5e6} {
		events, _, err := chooseEvents(config.Sampling{Frequency: 49, Events: []string{name}}, 0)
		if err != nil || len(events) != 1 || !events[0].IsOffCPU() || events[0].Period != want {
			t.Errorf("%s: %+v, %v", name, events, err)
		}
	}
}

// A kernel without what off-cpu needs samples the rest, and another failure is none of off-cpu's.
func TestOpenEvents(t *testing.T) {
	lacking := fmt.Errorf("%w: load program offcpu_visit", loader.ErrKernel)
	broken := errors.New("no memory")
	events := []loader.Event{loader.CPUClock(99), loader.OffCPUEvent(0)}
	both := append(events[:2:2], loader.AllocEvent(0))
	for _, test := range []struct {
		events  []loader.Event
		without error // of opening without off-cpu
		alloc   error // with alloc
		fails   error // with it
		want    error
		refused int
	}{
		{events: events},
		{events: events, fails: lacking, refused: 1},
		{events: events, fails: broken, want: broken},
		{events: events, fails: lacking, without: broken, want: broken, refused: 1},
		{events: events[1:], fails: lacking, want: lacking},
		{events: events[:1], without: lacking, want: lacking},
		{events: both},
		{events: both, alloc: lacking, refused: 1},
		{events: both, fails: lacking, refused: 1},
		{events: both, alloc: lacking, fails: lacking, refused: 2},
		{events: both, alloc: lacking, fails: broken, want: broken},
	} {
		_, got, refused, err := openEvents(loader.Options{Events: test.events}, func(o loader.Options) (*loader.Sampler, error) {
			for _, e := range o.Events {
				if e.IsOffCPU() && test.fails != nil {
					return nil, test.fails
				}
				if e.IsAlloc() && test.alloc != nil {
					return nil, test.alloc
				}
			}
			if slices.ContainsFunc(o.Events, loader.Event.IsOffCPU) {
				return nil, nil
			}
			return nil, test.without
		})
		if !errors.Is(err, test.want) || len(refused) != test.refused || err == nil && len(got)+len(refused) != len(test.events) {
			t.Errorf("%+v: %v, events %v, refused %v", test, err, got, refused)
		}
	}
}

package main

import (
	"os"
	"strings"
	"testing"

	"github.com/ebpfprof/ebpfprof/pkg/config"
)

func TestChooseEvents(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: tries events of a whole CPU")
	}
	events, refused, err := chooseEvents(config.Sampling{Frequency: 49, Events: []string{"cpu", "page-faults:100", "no_such:tracepoint"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 2 || events[0].Frequency != 49 || events[1].Period != 100 {
		t.Errorf("events %+v", events)
	}
	if len(refused) != 1 || refused[0].Name != "no_such_tracepoint" || !strings.Contains(refused[0].Problem, "no such tracepoint") {
		t.Errorf("refused %+v", refused)
	}
	for _, names := range [][]string{{"cpu", "nonsense"}, {"cpu", "cpu-clock"}, {"no_such:tracepoint"}, {"cpu@0"}} {
		if _, _, err := chooseEvents(config.Sampling{Frequency: 49, Events: names}); err == nil {
			t.Errorf("%v was taken", names)
		}
	}
}

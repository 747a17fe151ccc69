package loader

import (
	"os"
	"testing"
	"time"
)

func TestOffCPULoads(t *testing.T) {
	for name, o := range map[string]OffCPU{
		"deferred": {On: true}, "early": {On: true, Early: true}, "hashed": {On: true, Hashed: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, Options{Events: []Event{CPUClock(99)}, OffCPU: o, Filter: Filter{Kind: FilterProcess}})
			if err := s.AddTarget(os.Getpid(), 0); err != nil {
				t.Fatal(err)
			}
			if err := s.Start(); err != nil {
				t.Fatal(err)
			}
			got := &collector{}
			runFor(t, s, got, time.Second)
			c, err := s.Counters(1)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v ends %v", c, got.ends)
			totals, err := s.OffCPUTotals()
			if err != nil {
				t.Fatal(err)
			}
			for _, th := range totals.Threads {
				t.Log(th.TID, th.Comm, th.Doing, th.In, th.Switches)
			}
		})
	}
}

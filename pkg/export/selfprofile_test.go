package export

import (
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	prof "github.com/ebpfprof/ebpfprof/pkg/profile"
)

func TestSelfProfile(t *testing.T) {
	var mu sync.Mutex
	var kinds []string
	s, err := StartSelfProfile(SelfProfileOptions{Service: "me", Interval: 50 * time.Millisecond}, func(iv *prof.Interval) {
		mu.Lock()
		defer mu.Unlock()
		kinds = append(kinds, iv.Kind)
		if w := iv.Windows[0]; w.Service != "me" || w.Profile.CheckValid() != nil || iv.Start.IsZero() {
			t.Errorf("%+v", w)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	both := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return slices.Contains(kinds, "cpu") && slices.Contains(kinds, "heap")
	}
	for end := time.Now().Add(30 * time.Second); !both() && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		runtime.GC() // memory is profiled as of the last collection
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if !both() {
		t.Errorf("profiles: %q", kinds)
	}
}

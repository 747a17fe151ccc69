package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/internal/target"
)

// Waiting has no limit of its own: go test's timeout tells where it hangs.
const lookAgain = 10 * time.Millisecond

// useCPU returns a function that waits until each of these processes has used 0.3 s of
// CPU time: 300 samples at 999 Hz.
func useCPU(t *testing.T, pids ...int) func() { return useCPUSeconds(t, 0.3, pids...) }

func useCPUSeconds(t *testing.T, seconds float64, pids ...int) func() {
	return func() {
		t.Helper()
		for _, pid := range pids {
			for start := cpuTicks(t, pid); cpuTicks(t, pid)-start < int(seconds*100); {
				time.Sleep(lookAgain)
			}
		}
	}
}

// cpuTicks reads the CPU time of a living process, in hundredths of a second.
func cpuTicks(t *testing.T, pid int) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest)
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return user + system
}

// rounds returns a function that waits for some more rounds of the target forker: each
// has 20 ms of every kind of its children.
func rounds(t *testing.T, p *target.Process) func() {
	return func() {
		t.Helper()
		done := func() int { return strings.Count(p.Output(), "round\n") }
		// One may have begun already.
		for want := done() + 4; done() < want; time.Sleep(lookAgain) {
			select {
			case <-p.Exited():
				t.Fatalf("forker ended: %s", p.Output())
			default:
			}
		}
	}
}

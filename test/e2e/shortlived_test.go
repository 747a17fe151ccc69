package e2e

import (
	"testing"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/internal/target"
)

// TestShortLived: of 300 processes a second that each live under 20 ms, every sample
// has its thread's name, and nearly every one that was in user code the function's.
func TestShortLived(t *testing.T) {
	needRoot(t)
	seconds := "6"
	if testing.Short() {
		seconds = "3"
	}
	r := record(t, "-F", "999", "--", target.C(t, "shortlived"), "300", seconds, "4")
	started, wall := target.Number(t, r.stdout, "started"), target.Number(t, r.stdout, "wall_seconds")
	sampled := len(r.values("pid", every))
	t.Logf("%.0f processes in %.1f s, samples of %d", started, wall, sampled)
	if float64(sampled) < started/2 {
		t.Errorf("samples of %d processes, want those of most of %.0f", sampled, started)
	}
	r.none(t, "samples without comm", func(s *pprof.Sample) bool { return len(s.Label["comm"]) != 1 || s.Label["comm"][0] == "" })

	user := r.count(inUser)
	named := r.count(and(inUser, leafNamed))
	t.Logf("%d samples in user code, %.2f %% with a name", user, 100*float64(named)/float64(user))
	if user < r.event.Samples/2 || float64(named) < 0.95*float64(user) {
		t.Errorf("%d samples, %d in user code, %d of them with a name, want 95 %%: %v", r.event.Samples, user, named,
			r.names("stack", and(inUser, not(leafNamed))))
	}
	r.some(t, "burn_short", user*8/10, in("burn_short"))
}

// inUser chooses samples that interrupted user code, known or not: no kernel frame is
// the leaf. A process that has given its memory back has none to show.
func inUser(s *pprof.Sample) bool {
	return len(s.Location) > 0 && !isKernel(s.Location[0]) && !(len(s.Label["stack"]) == 1 && s.Label["stack"][0] == "exited")
}

func leafNamed(s *pprof.Sample) bool { return isNamed(s.Location[0]) }

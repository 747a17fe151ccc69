package e2e

import (
	"math"
	"slices"
	"testing"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/internal/target"
)

// TestTruth: a program that spends 50, 30 and 20 % of its CPU time in three functions is
// reported so within 2 points, and its CPU time within 2 % of its own rusage.
//
// A thread that has a CPU for itself is sampled with hardly any chance in it. When others
// compete for the CPUs, which 10 ms it has is chance: the bars are widened by three
// standard deviations of that, which is nothing on an idle machine.
func TestTruth(t *testing.T) {
	needRoot(t)
	seconds := "20"
	if testing.Short() {
		seconds = "5"
	}
	r := record(t, "-F", "99", "--", target.C(t, "split"), seconds)
	used := target.Number(t, r.stdout, "cpu_seconds")
	samples := float64(r.event.Samples)
	running := min(1, used/r.summary.DurationSeconds)
	chance := 3 * math.Sqrt((1-running)/samples)
	t.Logf("ran %.1f %% of the time; three standard deviations of the total are %.2f %%", 100*running, 100*chance)

	if got, bar := r.cpuSeconds(every), 0.02+chance; math.Abs(got/used-1) > bar {
		t.Errorf("the profile has %.3f s, rusage %.3f s: more than %.1f %% apart", got, used, 100*bar)
	} else {
		t.Logf("the profile has %.3f s, rusage %.3f s: %+.2f %%", got, used, 100*(got/used-1))
	}
	for name, want := range map[string]float64{"heavy": 0.5, "medium": 0.3, "light": 0.2} {
		got := float64(r.count(in(name))) / samples
		bar := 0.02 + chance*math.Sqrt(want*(1-want))
		if math.Abs(got-want) > bar {
			t.Errorf("%s: %.2f %%, want %.0f within %.2f points", name, 100*got, 100*want, 100*bar)
		} else {
			t.Logf("%s: %.2f %%", name, 100*got)
		}
	}
}

// TestDepth: a stack has as many frames as the program.
func TestDepth(t *testing.T) {
	needRoot(t)
	t.Parallel()
	const depth = 60
	r := record(t, "-F", "999", "--", target.C(t, "recursion"), "60", "1")
	r.some(t, "bottom", 50, in("bottom"))
	r.some(t, "stacks with main and every call", r.count(in("bottom"))*9/10, func(s *pprof.Sample) bool {
		calls := 0
		for _, l := range s.Location {
			if hasFunction(l, "descend") {
				calls++
			}
		}
		return calls == depth && in("main")(s)
	})
}

// TestTooDeep: of a stack beyond the limit both ends are there, and a marker between them.
func TestTooDeep(t *testing.T) {
	needRoot(t)
	t.Parallel()
	r := record(t, "-F", "999", "--", target.C(t, "recursion"), "3000", "1")
	bottom := r.count(in("bottom"))
	if bottom < 50 {
		t.Errorf("%d samples in bottom, want 50", bottom)
	}
	r.some(t, "stacks that say that they are truncated", bottom*9/10, func(s *pprof.Sample) bool {
		return len(s.Location) > 500 && in("bottom")(s) && slices.Equal(s.Label["stack"], []string{"truncated"})
	})
}

package metrics

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

func totalsText(t *testing.T, totals *Totals) string {
	t.Helper()
	var s Snapshot
	totals.AddTo(&s)
	var b strings.Builder
	if err := WriteText(&b, s); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTotals(t *testing.T) {
	totals := &Totals{Services: 2}
	now := time.Unix(1000, 0)
	totals.Add(now, "cpu", "nanoseconds", "a", 3, 1_500_000_000)
	totals.Add(now, "cpu", "nanoseconds", "a", 1, 500_000_000)
	totals.Add(now.Add(time.Minute), "cache_misses", "count", "b", 7, 70_000)
	totals.Add(now.Add(time.Minute), "cpu", "nanoseconds", "c", 5, 1_000_000_000)
	text := totalsText(t, totals)
	for _, want := range []string{
		`ebpfprof_profile_samples_total{kind="cpu",service="a"} 4`,
		`ebpfprof_profile_seconds_total{kind="cpu",service="a"} 2`,
		`ebpfprof_profile_samples_total{kind="cache_misses",service="b"} 7`,
		`ebpfprof_profile_samples_total{kind="cpu",service="other"} 5`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("text lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, `seconds_total{kind="cache_misses"`) {
		t.Errorf("cache misses are counted as time:\n%s", text)
	}

	totals.Add(now.Add(idleAfter), "cpu", "nanoseconds", "c", 2, 0)
	text = totalsText(t, totals)
	for _, want := range []string{
		`ebpfprof_profile_samples_total{kind="cpu",service="c"} 2`,
		`ebpfprof_profile_samples_total{kind="cpu",service="other"} 9`, // 5 of c, 4 of a
		`ebpfprof_profile_seconds_total{kind="cpu",service="other"} 3`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("after a was idle, text lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, `service="a"`) {
		t.Errorf("a has lost its place and is still there:\n%s", text)
	}
}

// TestTotalsAreBounded: whatever comes, the number of series is bounded and nothing is lost from the sum.
func TestTotalsAreBounded(t *testing.T) {
	totals := &Totals{Services: 10}
	now := time.Unix(1000, 0)
	for i := range 5000 {
		now = now.Add(time.Minute)
		totals.Add(now, "cpu", "nanoseconds", fmt.Sprintf("service-%d", i), 1, 1_000_000_000)
	}
	if n := len(totals.sums); n > 11 {
		t.Errorf("%d series, want at most 11", n)
	}
	samples, seconds := uint64(0), 0.0
	for _, sum := range totals.sums {
		samples += sum.samples
		seconds += sum.seconds
	}
	if samples != 5000 || math.Abs(seconds-5000) > 1e-6 {
		t.Errorf("sums are %d samples and %g s, want 5000 of each", samples, seconds)
	}
}

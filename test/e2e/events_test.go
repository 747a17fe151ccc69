package e2e

import (
	"fmt"
	"math"
	"strings"
	"testing"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/internal/target"
)

// within tells whether got is want but for a share of it.
func within(got, want int64, share float64) bool {
	return math.Abs(float64(got-want)) <= share*float64(want)
}

// valueOf sums a sample type over the samples that pass.
func valueOf(t *testing.T, p *pprof.Profile, typ string, pass func(*pprof.Sample) bool) (n int64) {
	t.Helper()
	for i, st := range p.SampleType {
		if st.Type != typ {
			continue
		}
		for _, s := range p.Sample {
			if pass(s) {
				n += s.Value[i]
			}
		}
		return n
	}
	t.Errorf("the profile has no sample type %s", typ)
	return 0
}

// TestPageFaults: every page fault is in the profile, as often as the kernel tells the process itself, at the function
// that had it; sampled, the samples stand for as many.
func TestPageFaults(t *testing.T) {
	needRoot(t)
	const pages = 100_000
	path := target.C(t, "faults")
	for _, period := range []int64{1, 100} {
		f := newFiles(t)
		event := fmt.Sprint("page-faults:", period)
		o := run(t, f.args("-e", event, "--", path, fmt.Sprint(pages))...)
		if o.exit != 0 {
			t.Fatalf("exit %d: %s", o.exit, o.stderr)
		}
		var minor, major int64
		if _, err := fmt.Sscan(o.stdout, &minor, &major); err != nil || minor < pages {
			t.Fatalf("the program said %q: %v", o.stdout, err)
		}
		r := f.read(t, o)
		all := valueOf(t, r.profile, "page_faults", every)
		t.Logf("period %d: %d page faults in the profile, %d by getrusage, lost %v", period, all, minor+major, r.event.Lost)
		if !within(all, minor+major, 0.01) {
			t.Errorf("period %d: %d page faults in the profile, %d by getrusage", period, all, minor+major)
		}
		if all != period*r.event.Samples {
			t.Errorf("period %d: %d samples stand for %d", period, r.event.Samples, all)
		}
		here := valueOf(t, r.profile, "page_faults", in("Here"))
		there := valueOf(t, r.profile, "page_faults", in("There"))
		if !within(here, pages/10, 0.02*float64(period)) || !within(there, pages*9/10, 0.02) {
			t.Errorf("period %d: %d at Here and %d at There, want %d and %d", period, here, there, pages/10, pages*9/10)
		}
	}
}

// TestSeveralEvents: several events at once are each conserved, in one profile and in a file of each.
func TestSeveralEvents(t *testing.T) {
	needRoot(t)
	const pages = 20_000
	f := newFiles(t)
	each := strings.Replace(f.profile, "out", "%e", 1)
	o := run(t, f.args("-o", each, "-e", "cpu@997", "-e", "page-faults:1", "-e", "context-switches", "-e", "sched:sched_process_exec",
		"-q", "--", "sh", "-c", fmt.Sprintf("%s %d; %[1]s %[2]d", target.C(t, "faults"), pages))...)
	if o.exit != 0 {
		t.Fatalf("exit %d: %s", o.exit, o.stderr)
	}
	s, p := readSummary(t, f.summary), readProfile(t, f.profile)
	if len(s.Events) != 4 || len(p.SampleType) != 5 || p.DefaultSampleType != "cpu" {
		t.Fatalf("events %v, sample types %v, default %s", s.Events, p.SampleType, p.DefaultSampleType)
	}
	var samples int64
	for name, e := range s.Events {
		if e.Fired != e.Samples+sum(e.Lost) || e.Samples != sum(e.Stacks) || e.Samples == 0 {
			t.Errorf("%s: %+v", name, e)
		}
		samples += e.Samples
		kind := strings.NewReplacer("-", "_", ":", "_").Replace(name)
		own := readProfile(t, strings.Replace(f.profile, "out", strings.ReplaceAll(name, ":", "_"), 1))
		if len(own.SampleType) != 2 || own.SampleType[1].Type != kind {
			t.Errorf("%s: a file of %v", name, own.SampleType)
		}
		if n := valueOf(t, own, "samples", every); n != e.Samples {
			t.Errorf("%s: %d samples in its file, %d in the summary", name, n, e.Samples)
		}
		if a, b := valueOf(t, own, kind, every), valueOf(t, p, kind, every); a != b {
			t.Errorf("%s: %d in its file, %d in that of all", name, a, b)
		}
	}
	if n := valueOf(t, p, "samples", every); n != samples {
		t.Errorf("%d samples in the profile, %d in the summary", n, samples)
	}
	if n := valueOf(t, p, "sched_sched_process_exec", every); n != 2 {
		t.Errorf("%d execs, want those of two programs: sh is there when sampling begins", n)
	}
	if n := valueOf(t, p, "page_faults", every); n < 2*pages {
		t.Errorf("%d page faults of %d", n, 2*pages)
	}
}

// TestSeveralEventsShown: what shows one event wants a file of each.
func TestSeveralEventsShown(t *testing.T) {
	o := run(t, "record", "-e", "cpu", "-e", "page-faults", "-o", t.TempDir()+"/out.svg", "-d", "1s")
	if o.exit != 2 || !strings.Contains(o.stderr, "%e") {
		t.Errorf("exit %d: %s", o.exit, o.stderr)
	}
}

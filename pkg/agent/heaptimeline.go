package agent

import "time"

// A heapTimeline is the total over time, in bins of equal length: so many that a picture is fine enough, and so few that
// they are bounded for every recording. When they are used up, two become one.
type heapTimeline struct {
	step time.Duration
	bins []heapBin
	now  int64 // bytes in use

	peak   int64
	peakAt time.Duration // from the begin
	kept   heapPeak
}

type heapBin struct{ most, last int64 }

// A heapPeak is what made up the total at a moment.
type heapPeak struct {
	bytes int64
	sites []heapShare // by number of the site
}

type heapShare struct {
	bytes   int64
	objects float64
}

const (
	firstHeapStep = 10 * time.Millisecond
	maxHeapBins   = 512
	// keptPeak is by how much a peak must exceed the one whose parts are kept, to be kept in its place: a heap that grows
	// steadily would else be copied at each free.
	keptPeak = 1.005
)

func newHeapTimeline() heapTimeline { return heapTimeline{step: firstHeapStep} }

// bin is the number of the bin of a time from the begin; halved tells how often all numbers were halved for it.
func (t *heapTimeline) bin(at time.Duration) (bin, halved int) {
	for at = max(at, 0); int(at/t.step) >= maxHeapBins; t.step *= 2 {
		for i := range t.bins {
			if i%2 == 0 {
				t.bins[i/2] = t.bins[i]
			} else {
				t.bins[i/2] = heapBin{max(t.bins[i/2].most, t.bins[i].most), t.bins[i].last}
			}
		}
		t.bins = t.bins[:(len(t.bins)+1)/2]
		halved++
	}
	bin = int(at / t.step)
	for len(t.bins) <= bin {
		t.bins = append(t.bins, heapBin{t.now, t.now})
	}
	return bin, halved
}

func (t *heapTimeline) add(bin int, at time.Duration, bytes int64) {
	t.now += bytes
	b := &t.bins[bin]
	b.most, b.last = max(b.most, t.now), t.now
	if t.now > t.peak {
		t.peak, t.peakAt = t.now, at
	}
}

// atPeak reports whether the total is a peak whose parts are worth keeping: it is asked before something is freed.
func (t *heapTimeline) atPeak() bool {
	return t.now == t.peak && float64(t.peak) > keptPeak*float64(t.kept.bytes)
}

func (t *heapTimeline) keepPeak(sites []*heapSite) {
	t.kept.bytes, t.kept.sites = t.now, t.kept.sites[:0]
	for _, s := range sites {
		t.kept.sites = append(t.kept.sites, heapShare{s.inuse, s.inuseObjects})
	}
}

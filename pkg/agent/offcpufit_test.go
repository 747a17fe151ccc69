package agent

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	pprof "github.com/google/pprof/profile"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/proc"
	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

const fitPID = 1 << 22

func fitRecorder(t *testing.T) *Recorder {
	t.Helper()
	r, err := NewRecorder(proc.FS{}, KindsOf(loader.CPUClock(100), loader.OffCPUEvent(0)), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// waitSample is a sampled wait of a thread, at a place of its own.
func waitSample(tid int, place uint64, d loader.Doing, waited time.Duration, weight float64) *loader.Sample {
	return &loader.Sample{
		PID: fitPID, TID: tid, StartNs: 5, Comm: []byte("worker"), End: loader.EndNoUser, Event: 1, Tag: uint16(d),
		Kernel: []uint64{0xffffffff81000000 + place}, Waited: uint64(waited), Weight: uint64(math.Round(weight)),
	}
}

func living(tid int, in map[loader.Doing]time.Duration) loader.ThreadTimes {
	th := loader.ThreadTimes{PID: fitPID, TID: tid, StartNs: 5, Comm: "worker"}
	for d, ns := range in {
		th.In[d] = ns
	}
	return th
}

// byTID sums the off-CPU time of a profile, and that of stacks which no sample tells.
func byTID(p *pprof.Profile) (sums, unseen map[int64]int64) {
	sums, unseen = map[int64]int64{}, map[int64]int64{}
	for _, s := range p.Sample {
		tid := int64(0)
		if v := s.NumLabel["tid"]; len(v) > 0 {
			tid = v[0]
		}
		sums[tid] += s.Value[2]
		if len(s.Location) > 0 && profile.Name(s.Location[0], 0) == unseenMarker {
			unseen[tid] += s.Value[2]
		}
	}
	return sums, unseen
}

// The profile has the exact time of each thread and state, whatever the samples happened to be, and the long wait, which
// is known, keeps its length.
func TestFitOffCPU(t *testing.T) {
	const mean = 100 * time.Millisecond
	random := rand.New(rand.NewPCG(1, 2))
	r := fitRecorder(t)
	var short, long time.Duration
	wait := func(tid int, place uint64, d time.Duration) {
		p := -math.Expm1(-float64(d) / float64(mean))
		if random.Float64() < p {
			r.Sample(waitSample(tid, place, loader.Interruptible, d, float64(d)/p))
		}
	}
	for range 3000 {
		d := time.Duration(random.ExpFloat64() * float64(time.Millisecond))
		wait(7, 0x10, d)
		short += d
	}
	long = 9 * time.Second
	wait(7, 0x20, long)
	r.Sample(&loader.Sample{PID: fitPID, TID: 7, StartNs: 5, Comm: []byte("worker"), End: loader.EndNoUser, Weight: 1}) // another event
	totals := loader.OffCPUTotals{
		Threads: []loader.ThreadTimes{
			living(7, map[loader.Doing]time.Duration{loader.Interruptible: short + long, loader.Running: time.Second}),
			living(8, map[loader.Doing]time.Duration{loader.Runqueue: 3 * time.Millisecond, loader.BlockIO: minUnseen - 1}),
		},
	}
	r.FitOffCPU(1, totals)
	p, stacks := r.Profile(time.Now(), 10*time.Second)
	sums, unseen := byTID(p)
	if d := sums[7] - int64(short+long); d < -1000 || d > 1000 || unseen[7] != 0 {
		t.Errorf("thread 7: %d ns more than waited, %d without a stack", d, unseen[7])
	}
	if sums[8] != int64(3*time.Millisecond) || unseen[8] != sums[8] {
		t.Errorf("thread 8: %d ns, %d without a stack", sums[8], unseen[8])
	}
	for _, s := range p.Sample {
		if s.Value[2] > int64(8*time.Second) && s.Value[2] != int64(long) {
			t.Errorf("the long wait became %v", time.Duration(s.Value[2]))
		}
	}
	if stacks[0].Value != int64(10*time.Millisecond) {
		t.Errorf("the other event's value became %d", stacks[0].Value)
	}
	if stacks[1].Value != sums[7]+sums[8] {
		t.Errorf("summary %d, profile %d", stacks[1].Value, sums[7]+sums[8])
	}
}

// Threads that ended have the time of their process, in all.
func TestFitOffCPUEnded(t *testing.T) {
	r := fitRecorder(t)
	for tid := 11; tid < 14; tid++ {
		r.Sample(waitSample(tid, uint64(tid), loader.Interruptible, 10*time.Millisecond, 105e6))
	}
	r.Sample(waitSample(20, 1, loader.Interruptible, time.Second, 1e9))
	var times OffCPUTimes
	ended := loader.ProcessTimes{PID: fitPID, StartNs: 5}
	ended.In[loader.Interruptible] = 450 * time.Millisecond
	gone := loader.ProcessTimes{PID: fitPID + 5, StartNs: 6}
	gone.In[loader.BlockIO] = 50 * time.Millisecond
	times.Visited(&loader.OffCPUTotals{Ended: []loader.ProcessTimes{gone}})
	last := loader.OffCPUTotals{
		Threads: []loader.ThreadTimes{living(20, map[loader.Doing]time.Duration{loader.Interruptible: 990 * time.Millisecond})},
		Ended:   []loader.ProcessTimes{ended},
	}
	times.Visited(&last)
	totals := times.Complete(last)
	if len(last.Ended) != 1 || len(totals.Ended) != 2 {
		t.Fatalf("ended: %d before, %d after", len(last.Ended), len(totals.Ended))
	}
	alone := r.FitOffCPU(1, totals)
	if alone[loader.Interruptible] != 3*105e6+1e9 {
		t.Errorf("samples alone: %v", alone)
	}
	p, _ := r.Profile(time.Now(), time.Second)
	sums, _ := byTID(p)
	if sums[20] != int64(990*time.Millisecond) || sums[0] != int64(50*time.Millisecond) {
		t.Errorf("by thread: %v", sums)
	}
	if d := sums[11] + sums[12] + sums[13] - int64(450*time.Millisecond); d < -3 || d > 3 {
		t.Errorf("ended threads: %d ns more than they waited", d)
	}
}

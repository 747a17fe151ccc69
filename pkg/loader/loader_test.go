package loader

import (
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"testing"
	"time"
)

// collector keeps what a handler needs for assertions.
type collector struct {
	samples  uint64
	byPID    map[int]uint64
	ends     map[End]uint64
	files    []File
	noComm   int
	userLen  int
	onSample func(*Sample)
}

func (c *collector) Sample(s *Sample) {
	c.samples++
	if c.byPID == nil {
		c.byPID, c.ends = map[int]uint64{}, map[End]uint64{}
	}
	c.byPID[s.PID]++
	c.ends[s.End]++
	if len(s.Comm) == 0 {
		c.noComm++
	}
	c.userLen += len(s.User)
	if c.onSample != nil {
		c.onSample(s)
	}
}

func (c *collector) File(f File) { c.files = append(c.files, f) }
func (c *collector) Tick()       {}

func open(t *testing.T, o Options) *Sampler {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: loads BPF programs")
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// burn keeps n threads of this process busy until the test ends.
func burn(t *testing.T, n int) {
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	for range n {
		go func() {
			for x := 0; ; x++ {
				if x&0xfffff == 0 {
					select {
					case <-stop:
						return
					default:
					}
				}
			}
		}()
	}
}

func runFor(t *testing.T, s *Sampler, c *collector, d time.Duration) Counters {
	t.Helper()
	time.AfterFunc(d, s.Stop)
	if err := s.Run(c); err != nil {
		t.Fatal(err)
	}
	counters, err := s.Counters(0)
	if err != nil {
		t.Fatal(err)
	}
	return counters
}

func checkConservation(t *testing.T, c Counters, got *collector) {
	t.Helper()
	if c.Fired != c.Samples+c.LostTotal() {
		t.Errorf("fired %d != samples %d + lost %d", c.Fired, c.Samples, c.LostTotal())
	}
	if got.samples != c.Samples {
		t.Errorf("handler got %d samples, kernel delivered %d", got.samples, c.Samples)
	}
}

func TestSampleEverything(t *testing.T) {
	s := open(t, Options{Events: []Event{CPUClock(499)}})
	burn(t, runtime.NumCPU())
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if s.CPUs() != runtime.NumCPU() {
		t.Errorf("events on %d CPUs, want %d", s.CPUs(), runtime.NumCPU())
	}
	got := &collector{}
	c := runFor(t, s, got, time.Second)
	checkConservation(t, c, got)
	if c.LostTotal() != 0 {
		t.Errorf("lost %d samples with a reader that reads", c.LostTotal())
	}
	total := c.Fired + c.Idle + c.Filtered
	if want := uint64(499 * runtime.NumCPU()); total < want*8/10 || total > want*12/10 {
		t.Errorf("%d events in a second, want about %d", total, want)
	}
	if got.byPID[os.Getpid()] == 0 || got.noComm != 0 {
		t.Errorf("%d samples of this process, %d without comm", got.byPID[os.Getpid()], got.noComm)
	}
	if s.KernelBytes() == 0 || s.KernelBytes() > 16<<20 {
		t.Errorf("maps take %d bytes, want less than 16 MiB", s.KernelBytes())
	}
}

// A reader that does not read loses samples; each is counted.
func TestLossIsCounted(t *testing.T) {
	s := open(t, Options{Events: []Event{CPUClock(4999)}, RingBytes: os.Getpagesize() * 2})
	burn(t, runtime.NumCPU())
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond)
	got := &collector{}
	c := runFor(t, s, got, 0)
	checkConservation(t, c, got)
	if c.LostTotal() == 0 || c.Samples == 0 {
		t.Errorf("lost %d, delivered %d; want some of both", c.LostTotal(), c.Samples)
	}
}

func TestStopIsIdempotentAndUnblocksRun(t *testing.T) {
	s := open(t, Options{Events: []Event{CPUClock(99)}})
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- s.Run(&collector{}) }()
	s.Stop()
	s.Stop()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("Run did not return")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// spin starts a shell that starts a child; both burn CPU.
func spin(t *testing.T) (parent int) {
	t.Helper()
	cmd := exec.Command("sh", "-c", "(while :; do :; done) & while :; do :; done")
	cmd.SysProcAttr = newGroup()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { killGroup(cmd) })
	return cmd.Process.Pid
}

func TestFilterProcessFollowsChildren(t *testing.T) {
	s := open(t, Options{Events: []Event{CPUClock(499)}, Filter: Filter{Kind: FilterProcess}})
	if err := s.AddTarget(os.Getpid(), 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	parent := spin(t) // a child of this process, and it has one
	got := &collector{}
	c := runFor(t, s, got, time.Second)
	checkConservation(t, c, got)
	if len(got.byPID) < 2 || got.byPID[parent] == 0 {
		t.Errorf("samples by process %v: want the shell %d and its child", got.byPID, parent)
	}
	if got.byPID[1] != 0 {
		t.Errorf("process 1 is no target: %v", got.byPID)
	}
}

// A number that was used before is another process.
func TestTargetOfAnotherStartTimeIsNone(t *testing.T) {
	s := open(t, Options{Events: []Event{CPUClock(499)}, Filter: Filter{Kind: FilterProcess}})
	if err := s.AddTarget(os.Getpid(), 1); err != nil { // started 10 ms after boot: not this process
		t.Fatal(err)
	}
	burn(t, 1)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	got := &collector{}
	if c := runFor(t, s, got, 300*time.Millisecond); c.Fired != 0 || c.Filtered == 0 {
		t.Errorf("fired %d, filtered %d; want none and some", c.Fired, c.Filtered)
	}
}

func TestFilterComm(t *testing.T) {
	re := regexp.MustCompile("^sh$|^dash$|^bash$")
	s := open(t, Options{Events: []Event{CPUClock(499)}, Filter: Filter{Kind: FilterComm, Comm: re.MatchString}})
	burn(t, 1) // this process's name does not match
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	parent := spin(t)
	got := &collector{onSample: func(sm *Sample) {
		if sm.PID == os.Getpid() {
			t.Errorf("sample of %s", sm.Comm)
		}
	}}
	c := runFor(t, s, got, time.Second)
	checkConservation(t, c, got)
	if got.byPID[parent] == 0 {
		t.Errorf("samples by process %v: want %d", got.byPID, parent)
	}
}

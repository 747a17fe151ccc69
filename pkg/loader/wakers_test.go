package loader

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/internal/target"
)

// Each of two threads that contend for a mutex is woken by the other, one that sleeps by an interrupt, and what stacks
// stand for is still the time.
func TestWakers(t *testing.T) {
	for name, o := range offCPUModes {
		o.Wakers = true
		t.Run(name, func(t *testing.T) { testWakers(t, o) })
	}
}

func testWakers(t *testing.T, o OffCPU) {
	s := open(t, Options{OffCPU: o, Filter: Filter{Kind: FilterProcess}})
	p := target.Start(t, target.C(t, "waits"), "20", t.TempDir(), "lock0", "lock1", "sleeper")
	if err := s.AddTarget(p.PID, 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	wakers := map[string]map[string]int{} // of threads, by name
	var stacks float64
	got := &collector{onSample: func(s *Sample) {
		stacks += float64(s.Weight)
		if d, _ := OffCPUTag(s.Tag); d == Runqueue || s.waiting {
			if s.Waker != nil {
				t.Errorf("%s in %s: has a waker", s.Comm, d)
			}
			return
		}
		comm, waker := string(s.Comm), "nobody"
		if s.Waker != nil {
			waker = string(s.Waker.Comm)
			if user := len(s.Waker.User) > 0; user != (waker != InterruptComm) {
				t.Errorf("%s: waker %s with %d user frames", comm, waker, len(s.Waker.User))
			}
			if len(s.Waker.Kernel) == 0 {
				t.Errorf("%s: waker %s without the kernel's frames", comm, waker)
			}
		}
		if wakers[comm] == nil {
			wakers[comm] = map[string]int{}
		}
		wakers[comm][waker]++
	}}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(got) }()
	time.Sleep(3 * time.Second)
	s.Stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	total, err := s.OffCPUTotals()
	if err != nil {
		t.Fatal(err)
	}
	var exact float64
	for _, th := range total.Threads {
		exact += float64(th.OffCPU())
	}
	n := s.Wakers()
	t.Logf("wakers %v, %+v, stacks of %.3f s in %.3f s", wakers, n, stacks/1e9, exact/1e9)
	locked := 0 // one of the two may have the lock as good as always
	for thread, waker := range map[string]string{"lock0": "lock1", "lock1": "lock0", "sleeper": InterruptComm} {
		var all int
		for _, n := range wakers[thread] {
			all += n
		}
		if waker != InterruptComm {
			if locked += all; all < 20 {
				continue
			}
		}
		if found := wakers[thread][waker]; all < 20 || found < all*9/10 {
			t.Errorf("%s: woken %d times of %d by %s", thread, found, all, waker)
		}
	}
	if locked < 40 {
		t.Errorf("%d waits for the lock", locked)
	}
	if n.Found == 0 || n.Missing > n.Found/10 {
		t.Errorf("wakers %+v", n)
	}
	if limit := map[bool]float64{false: 0.1, true: 0.3}[o.Early || o.Hashed]; math.Abs(stacks/exact-1) > limit {
		t.Errorf("stacks stand for %.3f s, the threads were off the CPU for %.3f s", stacks/1e9, exact/1e9)
	}
}

func TestInterruptEnd(t *testing.T) {
	for _, test := range []struct {
		names       []string
		waking, end int
	}{
		{nil, 0, 0},
		{[]string{"bpf_prog_1", "bpf_trace_run1", "try_to_wake_up", "wake_up_q", "futex_wake", "do_syscall_64"}, 2, 0},
		{[]string{"try_to_wake_up", "hrtimer_wakeup", "sysvec_apic_timer_interrupt", "asm_sysvec_apic_timer_interrupt", "vfs_read"}, 0, 4},
		{[]string{"try_to_wake_up", "el1_interrupt", "el1h_64_irq_handler", "el1h_64_irq", "vfs_read"}, 0, 4},
		{[]string{"try_to_wake_up", "sock_def_readable", "net_rx_action", "do_softirq", "tcp_sendmsg"}, 0, 0},
	} {
		if waking, end := wakingDepth(test.names), interruptEnd(test.names); waking != test.waking || end != test.end {
			t.Errorf("%v: %d, %d, want %d, %d", test.names, waking, end, test.waking, test.end)
		}
	}
}

// A waker's record serves the sample of that time, once.
func TestBegunTakes(t *testing.T) {
	var b begun
	b.put(7, []byte{1, 2, 3})
	if raw := b.take(8, 0); raw != nil {
		t.Errorf("of another thread: %v", raw)
	}
	long := make([]byte, sampleBytes)
	b.put(7, long)
	if raw := b.take(7, 1); raw != nil {
		t.Errorf("of another time: %v", raw)
	}
	b.put(7, long)
	if raw := b.take(7, 0); !slices.Equal(raw, long) || b.bytes != 0 {
		t.Errorf("%v, %d bytes kept", raw, b.bytes)
	}
}

func TestUntilVisit(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for after, want := range map[time.Duration]time.Duration{
		0:                       4750 * time.Millisecond,
		2 * time.Second:         2750 * time.Millisecond,
		4 * time.Second:         5750 * time.Millisecond,
		4751 * time.Millisecond: 4999 * time.Millisecond, // the visit has just been
	} {
		if got := untilVisit(at.Add(after), 5*time.Second); got != want {
			t.Errorf("%v after a window's end: %v, want %v", after, got, want)
		}
	}
}

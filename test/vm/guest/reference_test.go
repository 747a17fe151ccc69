package guest

import (
	"encoding/binary"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A reference counts the ticks of the clock that ebpfprof samples by, with perf's own
// ring buffers. How many there are in a second is the host's doing: while it runs
// something else the guest's timers stand still. How many of them are in a profile is
// ours.
type reference struct {
	rings [][]byte // by CPU: a page of counters, then the records
}

const referencePages = 64 // of records: 16,384 samples, not read before the end

// startReference counts on every CPU until the test ends.
func startReference(t *testing.T, cpus int) *reference {
	t.Helper()
	return startReferenceOf(t, cpus, unix.PerfEventAttr{
		Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_CPU_CLOCK, Sample: hz, Bits: unix.PerfBitFreq,
	})
}

// startReferenceOf is startReference for another event.
func startReferenceOf(t *testing.T, cpus int, attr unix.PerfEventAttr) *reference {
	t.Helper()
	attr.Sample_type, attr.Clockid = unix.PERF_SAMPLE_TIME, unix.CLOCK_MONOTONIC
	attr.Bits |= unix.PerfBitUseClockID
	attr.Size = uint32(unsafe.Sizeof(attr))
	r := &reference{}
	for cpu := range cpus {
		fd, err := unix.PerfEventOpen(&attr, -1, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
		if err != nil {
			t.Fatalf("open the reference clock of CPU %d: %v", cpu, err)
		}
		ring, err := unix.Mmap(fd, 0, (1+referencePages)*unix.Getpagesize(), unix.PROT_READ, unix.MAP_SHARED)
		if err != nil {
			t.Fatalf("map the reference clock of CPU %d: %v", cpu, err)
		}
		t.Cleanup(func() {
			unix.Munmap(ring)
			unix.Close(fd)
		})
		r.rings = append(r.rings, ring)
	}
	return r
}

// ticks counts those of one CPU in a span of the monotonic clock.
func (r *reference) ticks(cpu int, from, to time.Duration) (n int64) {
	ring := r.rings[cpu]
	// struct perf_event_mmap_page: data_head is at 1024.
	head := atomic.LoadUint64((*uint64)(unsafe.Pointer(&ring[1024])))
	records := ring[unix.Getpagesize():]
	for at := uint64(0); at+16 <= min(head, uint64(len(records))); {
		kind, size := binary.NativeEndian.Uint32(records[at:]), binary.NativeEndian.Uint16(records[at+6:])
		if size == 0 {
			break
		}
		when := time.Duration(binary.NativeEndian.Uint64(records[at+8:]))
		if kind == unix.PERF_RECORD_SAMPLE && when >= from && when < to {
			n++
		}
		at += uint64(size)
	}
	return n
}

// fidelity is the share of the ticks due on the CPUs during a recording that came.
func (r *reference) fidelity(t *testing.T, rec recording, cpus ...int) float64 {
	t.Helper()
	var n int64
	for _, cpu := range cpus {
		n += r.ticks(cpu, rec.from, rec.to)
	}
	f := float64(n) / hz / (rec.to - rec.from).Seconds() / float64(len(cpus))
	t.Logf("the clock of the guest ticked %.1f %% of the times", 100*f)
	if f < 0.3 {
		t.Fatal("the host is too busy for a guest to tell anything")
	}
	return f
}

func monotonic(t *testing.T) time.Duration {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return time.Duration(now.Nano())
}

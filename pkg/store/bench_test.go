package store

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/store/internal/workload"
)

// BenchmarkHistory measures queries on a day of 50 services. What is merged to hours and 5 minutes in the end is added in
// such pieces, with the stacks that their windows would have; the last 12 minutes are windows of 10 s.
func BenchmarkHistory(b *testing.B) {
	const services = 50
	dir := b.TempDir()
	c := &clock{day.Add(24*time.Hour + 30*time.Minute)}
	end := c.t
	s := open(b, Options{Dir: dir, Now: c.now, MaxAge: -1, MaxBytes: -1})
	m := workload.New("cpu", services, 1)
	start := end.Add(-24 * time.Hour)
	windows := 0
	var adding time.Duration
	for at := start; at.Before(end); {
		d := 10 * time.Second
		switch left := end.Sub(at); {
		case left > 150*time.Minute && at.Truncate(time.Hour).Equal(at):
			d = time.Hour
		case left > 12*time.Minute:
			d = 5 * time.Minute
		}
		in := m.Interval(at, d)
		begin := time.Now()
		add(b, s, in)
		if d == 10*time.Second {
			adding += time.Since(begin)
			windows++
		}
		at = at.Add(d)
	}
	begin := time.Now()
	maintain(b, s)
	merging, status := time.Since(begin), s.Status()
	s.Close()
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			s, err := Open(Options{Dir: dir, Now: c.now, MaxAge: -1, MaxBytes: -1})
			if err != nil {
				b.Fatal(err)
			}
			s.Close()
		}
		b.ReportMetric(float64(status.Files), "files")
		b.ReportMetric(float64(status.Bytes)/(1<<20), "MiB")
		b.ReportMetric(float64(adding.Milliseconds())/float64(windows), "ms/add")
		b.ReportMetric(merging.Seconds(), "merging-s")
	})
	s = open(b, Options{Dir: dir, Now: c.now, MaxAge: -1, MaxBytes: -1})
	for _, span := range []time.Duration{5 * time.Minute, time.Hour, 24 * time.Hour} {
		for _, service := range []string{"", "service-07"} {
			b.Run(fmt.Sprintf("profile/%v/%s", span, service), func(b *testing.B) {
				forget(b)
				for b.Loop() {
					r := query(b, s, Query{Kind: "cpu", Service: service, From: end.Add(-span), To: end})
					b.ReportMetric(float64(r.Files), "files")
					b.ReportMetric(float64(len(r.Profile.Sample)), "stacks")
				}
				b.ReportMetric(peak(b), "peak-MiB")
			})
		}
		b.Run(fmt.Sprintf("timeline/%v", span), func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Timeline("cpu", "", end.Add(-span), end, 300); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// forget makes peak start anew.
func forget(b *testing.B) {
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		b.Fatal(err)
	}
}

// peak is the highest resident set of the process since forget.
func peak(b *testing.B) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	var kib float64
	for line := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			_, _ = fmt.Sscan(v, &kib)
		}
	}
	return kib / 1024
}

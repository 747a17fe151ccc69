package pyroscope_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/export"
	"github.com/ebpfprof/ebpfprof/test/pyroscope"
)

// TestTenMinutesDown: the connections are real, the time is not. Every profile of the outage, and of before and after,
// arrives once.
func TestTenMinutesDown(t *testing.T) {
	for name, spool := range map[string]bool{"spool": true, "memory": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := newClock()
			server := &pyroscope.Server{Rules: strict(), Now: clock.Now}
			address := freeAddress(t)
			o := export.Options{URL: "http://" + address, Now: clock.Now, After: clock.After}
			if spool {
				o.SpoolDir = t.TempDir()
			}
			e := newExporter(t, o)
			run(t, e)
			stop := listen(t, server, address)
			added := 0
			tick := func() {
				added += 20
				e.Add(interval("cpu", clock.Now(), 20, 5))
				eventually(t, e, "encoding", func(s export.Status) bool { return s.Queued == 0 })
				clock.advance(10 * time.Second)
			}
			tick()
			eventually(t, e, "a push before", nothingWaits)
			stop()
			for range 60 {
				tick()
			}
			down := e.Status()
			if down.Pushed != 20 || dropped(down) != 0 || down.LastError == "" {
				t.Errorf("while down: %+v", down)
			}
			if spool && down.Spool.Requests < 55 {
				t.Errorf("%d files in the spool", down.Spool.Requests)
			}
			listen(t, server, address)
			tick()
			for end := time.Now().Add(20 * time.Second); !nothingWaits(e.Status()) && time.Now().Before(end); time.Sleep(time.Millisecond) {
				clock.advance(time.Second)
			}
			s := e.Status()
			if int(s.Pushed) != added || dropped(s) != 0 || len(server.Profiles()) != added || server.Duplicates() != 0 {
				t.Errorf("%d of %d arrived, %d twice: %+v", len(server.Profiles()), added, server.Duplicates(), s)
			}
			if spool {
				if files, _ := filepath.Glob(filepath.Join(o.SpoolDir, "pyroscope", "*")); len(files) != 0 {
					t.Errorf("left in the spool: %v", files)
				}
			}
		})
	}
}

// TestRestart: what one process could not send, the next one does. A file that was damaged between them is reported,
// and others are left alone.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	address := freeAddress(t)
	o := export.Options{URL: "http://" + address, SpoolDir: dir}
	first := newExporter(t, o)
	stop := run(t, first)
	for range 5 {
		first.Add(interval("cpu", time.Now(), 10, 5))
	}
	stop()
	s := first.Status()
	if s.Spool.Profiles != 50 || !settled(s) || s.Spool.Oldest == nil {
		t.Fatalf("after the first run: %+v", s)
	}
	first.Add(interval("cpu", time.Now(), 3, 1))
	if s = first.Status(); s.Dropped[export.DropStopped] != 3 {
		t.Errorf("after the end: %+v", s)
	}
	files, err := filepath.Glob(filepath.Join(dir, "pyroscope", "*.push"))
	if err != nil || len(files) != 5 {
		t.Fatalf("files: %v, %v", files, err)
	}
	data, err := os.ReadFile(files[2])
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	for name, content := range map[string][]byte{files[2]: data, filepath.Join(dir, "pyroscope", "README"): nil} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := &pyroscope.Server{Rules: strict()}
	listen(t, server, address)
	second := newExporter(t, o)
	run(t, second)
	s = eventually(t, second, "the spool's end", nothingWaits)
	if s.Pushed != 40 || s.Dropped[export.DropSpoolCorrupt] != 10 || len(server.Profiles()) != 40 || server.Duplicates() != 0 {
		t.Errorf("after the second: %+v", s)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "pyroscope")); len(left) != 1 || left[0].Name() != "README" {
		t.Errorf("left: %v", left)
	}
}

// TestBounds: the oldest goes first, and everything that goes is counted.
func TestBounds(t *testing.T) {
	for name, c := range map[string]struct {
		o      export.Options
		reason string
	}{
		"spool":   {export.Options{SpoolDir: t.TempDir(), SpoolBytes: 40960}, export.DropSpoolFull},
		"memory":  {export.Options{MemoryBytes: 10000}, export.DropMemoryFull},
		"no disk": {export.Options{SpoolDir: t.TempDir(), MemoryBytes: 10000}, export.DropMemoryFull},
	} {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			c.o.URL, c.o.Now, c.o.After = "http://"+freeAddress(t), clock.Now, clock.After
			e := newExporter(t, c.o)
			if name == "no disk" {
				if err := os.RemoveAll(c.o.SpoolDir); err != nil {
					t.Fatal(err)
				}
			}
			run(t, e)
			for range 30 {
				e.Add(interval("cpu", clock.Now(), 2, 50))
				eventually(t, e, "encoding", func(s export.Status) bool { return s.Queued == 0 })
				clock.advance(10 * time.Second)
			}
			s := eventually(t, e, "rest", settled)
			if s.Dropped[c.reason] == 0 || s.Dropped[c.reason] != dropped(s) || s.Memory.Bytes > 1<<20 || s.Spool.Bytes > 40960 {
				t.Errorf("status: %+v", s)
			}
			clock.advance(time.Hour)
			s = eventually(t, e, "old age", func(s export.Status) bool {
				clock.advance(time.Minute)
				return nothingWaits(s)
			})
			if s.Dropped[export.DropTooOld] == 0 || dropped(s) != 60 {
				t.Errorf("an hour later: %+v", s)
			}
		})
	}
}

// TestAddNeverWaits: a server that answers nothing, for longer than the test. Add returns although nobody takes, Stop
// in its time, and every profile is accounted for.
func TestAddNeverWaits(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // connects, and that is all
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	e := newExporter(t, export.Options{URL: "http://" + l.Addr().String(), SpoolDir: dir, Timeout: time.Hour, Queue: 4})
	for range 10 { // before Run: the queue alone
		e.Add(interval("cpu", time.Now(), 2, 2))
	}
	if s := e.Status(); s.Dropped[export.DropQueueFull] != 12 || s.Queued != 8 {
		t.Errorf("before Run: %+v", s)
	}
	stop := run(t, e)
	eventually(t, e, "encoding", func(s export.Status) bool { return s.Queued == 0 })
	before := time.Now()
	stop()
	if d := time.Since(before); d > time.Minute { // a limit against hanging only: the request may take an hour
		t.Errorf("stopped after %v", d)
	}
	if s := e.Status(); !settled(s) || s.Spool.Profiles != 8 || s.Memory.Profiles != 0 {
		t.Errorf("after the end: %+v", s)
	}
}

// TestStopFlushes: what is queued when the end comes is still sent.
func TestStopFlushes(t *testing.T) {
	server := &pyroscope.Server{Rules: strict()}
	e := newExporter(t, export.Options{URL: serve(t, server).URL, StopTimeout: 20 * time.Second})
	for range 5 {
		e.Add(interval("cpu", time.Now(), 4, 5))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if s := e.Status(); s.Pushed != 20 || len(server.Profiles()) != 20 {
		t.Errorf("status: %+v", s)
	}
	if err := e.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "started before") {
		t.Errorf("a second Run: %v", err)
	}
	if err := e.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestCloseWithoutRun: nothing is sent, nothing is lost.
func TestCloseWithoutRun(t *testing.T) {
	e := newExporter(t, export.Options{URL: "http://" + freeAddress(t), SpoolDir: t.TempDir()})
	e.Add(interval("cpu", time.Now(), 4, 5))
	for range 2 {
		if err := e.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if s := e.Status(); s.Spool.Profiles != 4 {
		t.Errorf("status: %+v", s)
	}
}

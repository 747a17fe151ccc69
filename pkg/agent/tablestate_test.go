package agent

import (
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ebpfprof/ebpfprof/pkg/loader"
	"github.com/ebpfprof/ebpfprof/pkg/unwind"
)

// fakeTables is the kernel side's tables, without one: it has room for some.
type fakeTables struct {
	mu   sync.Mutex
	room int
	held []loader.FileID // the first is the least recently used
	sets int
}

func (f *fakeTables) SetTable(id loader.FileID, _ *unwind.Table, _ []loader.Segment) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sets++
	f.held = append(f.held, id)
	return 1, nil
}

func (f *fakeTables) EvictTables(int64) []loader.FileID {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := max(0, len(f.held)+1-f.room)
	gone := slices.Clone(f.held[:n])
	f.held = f.held[n:]
	return gone
}

func (f *fakeTables) TableBytes() int64 { return 0 }

func ownFile(t *testing.T) *heldFile {
	t.Helper()
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	return newHeldFile(f)
}

// More tables in use than there is room for take turns ever more slowly; each object waits in the queue once.
func TestTablesDoNotThrash(t *testing.T) {
	file := ownFile(t)
	defer file.release()
	f := &fakeTables{room: 2}
	u := newUnwinding(f, 1<<40, t.TempDir())
	defer u.close(time.Minute)
	u.settle(time.Minute)
	now := time.Now()
	var clock sync.Mutex
	u.mu.Lock()
	u.now = func() time.Time { clock.Lock(); defer clock.Unlock(); return now }
	u.mu.Unlock()
	ids := []loader.FileID{{Ino: 1}, {Ino: 2}, {Ino: 3}}
	for range 3600 { // an hour in which every stack touches all three
		for _, id := range ids {
			u.add(id, file)
			u.add(id, file)
		}
		u.settle(time.Minute)
		u.due()
		clock.Lock()
		now = now.Add(time.Second)
		clock.Unlock()
	}
	// Three objects, each with a wait that doubles from 1 s: 12 turns fill an hour.
	if f.sets < 6 || f.sets > 60 {
		t.Errorf("%d tables made in an hour, want a few dozen", f.sets)
	}
	if n := file.holders.Load(); n != 1 {
		t.Errorf("%d hold the file, want 1", n)
	}
}

// What does not fit into the queue is refused, holds no descriptor, and is asked for later.
func TestCompileQueueIsBounded(t *testing.T) {
	file := ownFile(t)
	defer file.release()
	u := &unwinding{kernel: &fakeTables{}, now: time.Now, done: make(chan struct{})}
	u.wake.L = &u.mu
	for i := range maxCompileQueue + 10 {
		u.add(loader.FileID{Ino: uint64(i + 1)}, file)
	}
	if len(u.queue) != maxCompileQueue || u.stats.Refused != 10 {
		t.Errorf("%d wait, %d refused", len(u.queue), u.stats.Refused)
	}
	if n := len(u.due()); n != 0 {
		t.Errorf("%d are due at once", n)
	}
	u.now = func() time.Time { return time.Now().Add(2 * firstBackoff) }
	if n := len(u.due()); n != 10 {
		t.Errorf("%d are due, want 10", n)
	}
	close(u.done)
	u.close(time.Second)
	if n := file.holders.Load(); n != 1 {
		t.Errorf("%d hold the file after the end, want 1", n)
	}
}

// What is remembered of objects is bounded, and what waits or is held is never forgotten.
func TestTableStatesAreBounded(t *testing.T) {
	var s tableStates
	s.queued(loader.FileID{Dev: 1})
	for i := range 3 * maxTableStates {
		s.settled(loader.FileID{Ino: uint64(i)}, tableNever)
	}
	if len(s.entries) > maxTableStates || s.wanted(loader.FileID{Dev: 1}, time.Now()) {
		t.Errorf("%d entries", len(s.entries))
	}
}

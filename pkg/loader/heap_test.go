package loader

import "testing"

func TestHeapEventNames(t *testing.T) {
	for name, want := range map[string]uint64{
		"heap": DefaultHeapMean, "heap:4096": 4096, "heap:256": 256,
		"heap:255": 0, "heap:0": 0, "heap@99": 0, "heap:x": 0, "heap:": 0,
	} {
		e, ok, err := ParseHeapEvent(name)
		if !ok || (err == nil) != (want != 0) || err == nil && (e.Period != want || !e.IsHeap() || e.IsAlloc()) {
			t.Errorf("%s: %+v, %v, %v", name, e, ok, err)
		}
	}
	for _, name := range []string{"cpu", "heaps", "heap-x:3", "", "alloc:65536", "hea"} {
		if e, ok, err := ParseHeapEvent(name); ok {
			t.Errorf("%s is %+v, %v", name, e, err)
		}
	}
	if _, err := (Options{Events: []Event{AllocEvent(0), HeapEvent(0)}}).allocEvent(); err == nil {
		t.Error("two events of allocations at once")
	}
}

type heapNotes struct {
	nothing
	notes []HeapNote
}

func (h *heapNotes) Heap(n HeapNote) { h.notes = append(h.notes, n) }

type nothing struct{}

func (nothing) Sample(*Sample) {}
func (nothing) File(File)      {}
func (nothing) Tick()          {}

func TestHeapRecords(t *testing.T) {
	raw := make([]byte, 32)
	raw[0], raw[4], raw[8], raw[16], raw[24] = 5, byte(HeapExit), 10, 20, 30
	var h heapNotes
	if err := tellHeap(raw, &h); err != nil || len(h.notes) != 1 || h.notes[0] != (HeapNote{What: HeapExit, At: 10, PID: 30, StartNs: 20}) {
		t.Errorf("%+v, %v", h.notes, err)
	}
	raw[4] = byte(HeapFreed)
	if err := tellHeap(raw, &h); err != nil || len(h.notes) != 2 || h.notes[1] != (HeapNote{What: HeapFreed, At: 10, ID: HeapID{TID: 30, Time: 20}}) {
		t.Errorf("%+v, %v", h.notes, err)
	}
	if err := tellHeap(raw[:31], &h); err == nil {
		t.Error("a short record is taken")
	}
	if err := tellHeap(raw, nothing{}); err != nil {
		t.Errorf("who does not ask: %v", err)
	}
}

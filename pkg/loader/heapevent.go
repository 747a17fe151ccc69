package loader

import "fmt"

// typeHeap is the type of the event heap, which is none of perf's.
const typeHeap = 1<<31 + 2

// HeapName is the event's name.
const HeapName = "heap"

// DefaultHeapMean is how many bytes of allocations one is sampled for, on average, if nothing else is said. It is less than
// that of the event alloc, because only what stays says anything of leaks: of 10 MiB, 640 samples, a deviation of 4 %. For
// allocations of 64 bytes it adds less than 2 % to what the probes cost by themselves.
const DefaultHeapMean = 16 << 10

// minHeapMean makes nearly all of a program's allocations samples.
const minHeapMean = 256

// HeapEvent is the event "heap": allocations as AllocEvent has them, and when they are freed. mean 0: DefaultHeapMean.
func HeapEvent(mean uint64) Event {
	if mean == 0 {
		mean = DefaultHeapMean
	}
	return Event{Name: HeapName, Type: typeHeap, Period: mean}
}

// IsHeap reports whether the event is heap.
func (e Event) IsHeap() bool { return e.Type == typeHeap }

// probesAllocs reports whether the event is of probes on allocators.
func (e Event) probesAllocs() bool { return e.IsAlloc() || e.IsHeap() }

// ParseHeapEvent reads heap[:BYTES]; ok is false for other names.
func ParseHeapEvent(s string) (e Event, ok bool, err error) {
	name, rate, period, err := splitEvent(s)
	if s != HeapName && (len(s) <= len(HeapName) || s[:len(HeapName)] != HeapName || s[len(HeapName)] != ':' && s[len(HeapName)] != '@') {
		return Event{}, false, nil
	}
	if err == nil && (rate != 0 || name != HeapName) {
		err = fmt.Errorf("event %s: write %s:BYTES for a sample for each so much memory", HeapName, HeapName)
	}
	if err != nil {
		return Event{}, true, err
	}
	e = HeapEvent(period)
	_, err = Options{Events: []Event{e}}.allocEvent()
	return e, true, err
}

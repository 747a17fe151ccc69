package agent

import "github.com/ebpfprof/ebpfprof/pkg/jvm"

// javaName is that of HotSpot's launcher, and so of the main thread: only of these the files of counters are looked for.
const javaName = "java"

// heapSize is the heap of a process: by Go's own profile, or by HotSpot's own counters, where they could be read now, else
// its anonymous memory.
func (m *MemoryWatch) heapSize(key heapKey, p member) (bytes uint64) {
	if w := m.heaps.watched[key]; w != nil && w.err == nil && w.heap != nil {
		for i := range w.heap.Records {
			bytes += uint64(max(w.heap.Records[i].Scaled(w.heap.Rate)[3], 0))
		}
		return bytes
	}
	if p.Comm == javaName {
		if used, err := jvm.HeapUsed(m.o.FS, key.pid); err == nil {
			return used
		}
	}
	return p.Resident.Anonymous
}

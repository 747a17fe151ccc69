package jvm

import (
	"encoding/binary"
	"testing"
)

// A made is a file of counters as HotSpot lays it out.
func made(order binary.ByteOrder, names []string, values []int64) []byte {
	b := make([]byte, prologueSize)
	binary.BigEndian.PutUint32(b, magic)
	if order == binary.LittleEndian {
		b[4] = 1
	}
	b[5], b[7] = 2, 1
	order.PutUint32(b[24:], prologueSize)
	order.PutUint32(b[28:], uint32(len(names)))
	for i, name := range names {
		data := (entrySize + len(name) + 1 + 7) &^ 7
		e := make([]byte, data+8)
		order.PutUint32(e, uint32(len(e)))
		order.PutUint32(e[4:], entrySize)
		e[12] = longType
		order.PutUint32(e[16:], uint32(data))
		copy(e[entrySize:], name)
		order.PutUint64(e[data:], uint64(values[i]))
		b = append(b, e...)
	}
	return b
}

func TestParseCounters(t *testing.T) {
	names := []string{"sun.gc.generation.0.space.0.used", "sun.gc.generation.1.space.0.used", "sun.gc.generation.1.space.0.capacity", "sun.gc.metaspace.used"}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		c, err := parseCounters(made(order, names, []int64{100, 20, 4000, 7}))
		if err != nil || len(c) != 4 || c[names[3]] != 7 {
			t.Fatalf("%v: %v, %v", order, c, err)
		}
		if used, ok := heapUsed(c); !ok || used != 120 {
			t.Errorf("%v: %d bytes used", order, used)
		}
	}
	if _, ok := heapUsed(map[string]int64{names[2]: 1, names[0]: -5}); ok {
		t.Error("a heap without spaces has a size")
	}
	good := made(binary.LittleEndian, names, make([]int64, 4))
	for what, change := range map[string]func(b []byte) []byte{
		"empty":             func(b []byte) []byte { return nil },
		"cut":               func(b []byte) []byte { return b[:len(b)-1] },
		"another magic":     func(b []byte) []byte { b[0]++; return b },
		"another version":   func(b []byte) []byte { b[5] = 1; return b },
		"not accessible":    func(b []byte) []byte { b[7] = 0; return b },
		"entries outside":   func(b []byte) []byte { b[27] = 0xff; return b },
		"too many entries":  func(b []byte) []byte { b[30] = 1; return b },
		"an entry of 0":     func(b []byte) []byte { b[prologueSize] = 0; return b },
		"more than a limit": func(b []byte) []byte { return append(b, make([]byte, maxFile)...) },
	} {
		if c, err := parseCounters(change(append([]byte(nil), good...))); err == nil {
			t.Errorf("%s: %v", what, c)
		}
	}
}

func FuzzParseCounters(f *testing.F) {
	f.Add(made(binary.LittleEndian, []string{"sun.gc.generation.0.space.0.used", ""}, []int64{1, -1}))
	f.Add(made(binary.BigEndian, []string{"a"}, []int64{1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseCounters(b)
		if err != nil && c != nil || len(c) > maxEntries {
			t.Errorf("%d counters, %v", len(c), err)
		}
		heapUsed(c)
	})
}

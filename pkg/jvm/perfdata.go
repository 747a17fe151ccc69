// Package jvm reads what a HotSpot JVM tells of its heap, from outside and without asking it: the performance data that
// it keeps in memory for jstat (OpenJDK, src/hotspot/share/runtime/perfMemory.hpp and perfData.hpp).
package jvm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// A Heap is what a JVM says of its Java heap. Used and Capacity are as of the end of the last collection, or as of the
// start before the first one: the JVM does not write them in between.
type Heap struct {
	Used     uint64 // bytes of objects, dead ones included that the collection did not look at
	Capacity uint64 // bytes that the heap takes of the process's memory
	// Collections counts pauses and cycles of all collectors since the start.
	Collections uint64
}

// ErrNoHeap is in the error for performance data without a heap's.
var ErrNoHeap = errors.New("no heap in the JVM's performance data")

var errDamaged = errors.New("damaged performance data")

// Of the header, PerfDataPrologue, and of an entry, PerfDataEntry: offsets in bytes. The magic is big endian on
// all machines.
const (
	magic                                                   = 0xcafec0c0
	headerBytes, entryBytes                                 = 32, 20
	atOrder, atMajor, atAccessible, atFirst, atCount        = 4, 5, 7, 24, 28
	atLength, atName, atVector, atType, atData              = 0, 4, 8, 12, 16
	typeLong                                         byte   = 'J'
	maxEntries                                       uint32 = 64 << 10
)

// parse reads performance data. It may be changed meanwhile: numbers are written whole, and entries are only added.
func parse(b []byte) (h Heap, err error) {
	if len(b) < headerBytes || binary.BigEndian.Uint32(b) != magic {
		return h, fmt.Errorf("%w: no header", errDamaged)
	}
	if b[atMajor] != 2 {
		return h, fmt.Errorf("performance data of version %d: want 2", b[atMajor])
	}
	if b[atAccessible] == 0 {
		return h, fmt.Errorf("%w yet: the JVM is starting", ErrNoHeap)
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if b[atOrder] == 0 {
		order = binary.BigEndian
	}
	at, spaces := uint64(order.Uint32(b[atFirst:])), 0
	for n := min(order.Uint32(b[atCount:]), maxEntries); n > 0; n-- {
		if at+entryBytes > uint64(len(b)) {
			return Heap{}, fmt.Errorf("%w: an entry at %d of %d bytes", errDamaged, at, len(b))
		}
		e := b[at:]
		length := uint64(order.Uint32(e[atLength:]))
		if length < entryBytes || at+length > uint64(len(b)) {
			return Heap{}, fmt.Errorf("%w: an entry of %d bytes", errDamaged, length)
		}
		e = e[:length]
		at += length
		name, data := uint64(order.Uint32(e[atName:])), uint64(order.Uint32(e[atData:]))
		if e[atType] != typeLong || order.Uint32(e[atVector:]) != 0 || name >= length || data+8 > length {
			continue
		}
		text, _, _ := strings.Cut(string(e[name:]), "\x00")
		value := order.Uint64(e[data:])
		switch {
		case ofSpace(text, ".used"):
			h.Used += value
			spaces++
		case ofSpace(text, ".capacity"):
			h.Capacity += value
		case strings.HasPrefix(text, "sun.gc.collector.") && strings.HasSuffix(text, ".invocations"):
			h.Collections += value
		}
	}
	if spaces == 0 {
		return Heap{}, ErrNoHeap
	}
	return h, nil
}

// ofSpace reports whether a name is sun.gc.generation.N.space.M and what.
func ofSpace(name, what string) bool {
	rest, ok := strings.CutPrefix(name, "sun.gc.generation.")
	if !ok || !strings.HasSuffix(rest, what) {
		return false
	}
	_, space, ok := strings.Cut(strings.TrimSuffix(rest, what), ".space.")
	return ok && space != "" && strings.Trim(space, "0123456789") == ""
}

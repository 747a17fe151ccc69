// Package jvm reads the performance counters that HotSpot keeps in a file for everybody who may read it
// (/tmp/hsperfdata_USER/PID, as jstat does): nothing runs in the process. It is on by default; -XX:-UsePerfData turns it off.
//
// The file is written while it is read, and by a process that is not to be trusted: sizes are bounded.
package jvm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Layout of the file, of version 2.0: src/hotspot/share/runtime/perfMemory.hpp, PerfDataPrologue and PerfDataEntry.
const (
	magic        = 0xcafec0c0 // always in big endian
	prologueSize = 32
	entrySize    = 20
	longType     = 'J'

	maxFile    = 1 << 20 // PerfDataMemorySize is 32 KiB unless told otherwise
	maxEntries = 10_000  // there are some 300
)

// parseCounters returns the counters that are one 64-bit number.
func parseCounters(b []byte) (map[string]int64, error) {
	if len(b) < prologueSize || len(b) > maxFile || binary.BigEndian.Uint32(b) != magic {
		return nil, errors.New("read counters of the JVM: no such file")
	}
	var order binary.ByteOrder = binary.BigEndian
	if b[4] == 1 {
		order = binary.LittleEndian
	}
	if b[5] != 2 {
		return nil, fmt.Errorf("read counters of the JVM: version %d.%d, want 2", b[5], b[6])
	}
	if b[7] == 0 {
		return nil, errors.New("read counters of the JVM: it is starting")
	}
	at, n := uint64(order.Uint32(b[24:])), order.Uint32(b[28:])
	if n > maxEntries {
		return nil, fmt.Errorf("read counters of the JVM: %d of them, more than %d", n, maxEntries)
	}
	counters := make(map[string]int64)
	for range n {
		if at > uint64(len(b)) || uint64(len(b))-at < entrySize {
			return nil, errors.New("read counters of the JVM: an entry lies outside")
		}
		e := b[at:]
		length, name, data := uint64(order.Uint32(e)), uint64(order.Uint32(e[4:])), uint64(order.Uint32(e[16:]))
		if length < entrySize || length > uint64(len(e)) {
			return nil, fmt.Errorf("read counters of the JVM: an entry of %d bytes", length)
		}
		e = e[:length]
		if vector := order.Uint32(e[8:]); vector == 0 && e[12] == longType && name < length && data <= length && length-data >= 8 {
			if text, _, ok := bytes.Cut(e[name:], []byte{0}); ok {
				counters[string(text)] = int64(order.Uint64(e[data:]))
			}
		}
		at += length
	}
	return counters, nil
}

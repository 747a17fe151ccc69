package jvm

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
)

// ErrNoJVM is in the error for a process that is no JVM, or one that was told to keep its performance data to itself
// (-XX:-UsePerfData, -XX:+PerfDisableSharedMem).
var ErrNoJVM = errors.New("no performance data of a JVM")

const (
	// maxData bounds performance data: 32 KiB by default (-XX:PerfDataMemorySize).
	maxData = 4 << 20
	// maxMaps bounds the lines of /proc/PID/maps that are read.
	maxMaps = 64 << 10
)

// A Process is a JVM. It holds one descriptor, of /proc/PID/mem, which stays that of this very process. It is not safe
// for concurrent use.
type Process struct {
	mem *os.File
	at  int64
	buf []byte
}

// Open finds the performance data of a process below root, /proc if that is "". It reads /proc/PID/maps once; whoever
// wants to know more than once keeps the Process.
//
// Errors: ErrNoJVM; the process is not there, or may not be read.
func Open(root string, pid int) (*Process, error) {
	if root == "" {
		root = "/proc"
	}
	dir := root + "/" + strconv.Itoa(pid)
	maps, err := os.Open(dir + "/maps")
	if err != nil {
		return nil, fmt.Errorf("read mappings of process %d: %w", pid, err)
	}
	defer maps.Close()
	start, size, err := find(maps)
	if err != nil {
		return nil, fmt.Errorf("process %d: %w", pid, err)
	}
	mem, err := os.Open(dir + "/mem")
	if err != nil {
		return nil, fmt.Errorf("read memory of process %d: %w", pid, err)
	}
	return &Process{mem, start, make([]byte, size)}, nil
}

// find returns where performance data is mapped: /tmp/hsperfdata_USER/PID, shared. The name is the mapping's, whatever
// mount namespace the file is in, and nothing is opened by it.
func find(maps io.Reader) (start int64, size int, err error) {
	in := bufio.NewScanner(maps)
	in.Buffer(make([]byte, 0, 8<<10), 64<<10)
	for n := 0; n < maxMaps && in.Scan(); n++ {
		if !bytes.Contains(in.Bytes(), []byte("/hsperfdata_")) {
			continue
		}
		f := strings.Fields(in.Text())
		if len(f) < 6 || !strings.HasPrefix(f[1], "r") || !strings.HasPrefix(path.Base(path.Dir(f[5])), "hsperfdata_") {
			continue
		}
		lo, hi, _ := strings.Cut(f[0], "-")
		from, err1 := strconv.ParseInt(lo, 16, 64)
		to, err2 := strconv.ParseInt(hi, 16, 64)
		if err1 == nil && err2 == nil && to > from {
			return from, int(min(to-from, maxData)), nil
		}
	}
	return 0, 0, ErrNoJVM
}

// Heap reads the heap's numbers: one system call.
//
// Errors: the process has ended (io.EOF or unix.ESRCH); ErrNoHeap; data that is none of a JVM.
func (p *Process) Heap() (Heap, error) {
	n, err := p.mem.ReadAt(p.buf, p.at)
	if n == 0 {
		return Heap{}, fmt.Errorf("read performance data of a JVM: %w", err)
	}
	return parse(p.buf[:n])
}

// Close lets go of the process.
func (p *Process) Close() error { return p.mem.Close() }

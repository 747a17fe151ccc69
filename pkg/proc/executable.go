package proc

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// An Executable is a file that a process has mapped to run code from.
type Executable struct {
	ID   FileID
	Hint FileHint
}

// maxMaps bounds the lines of /proc/PID/maps that are read: a process may have a hundred thousand mappings, but code
// comes early and from few files.
const maxMaps = 16 << 10

// Executables returns the files that a process runs code from, each once. It reads /proc/PID/maps, which makes the
// process wait for its mappings' lock meanwhile.
func (f FS) Executables(pid int) ([]Executable, error) {
	file, err := os.Open(f.procPath(pidName(pid), "maps"))
	if err != nil {
		return nil, fmt.Errorf("read mappings of process %d: %w", pid, err)
	}
	defer file.Close()
	var out []Executable
	seen := map[FileID]bool{}
	in := bufio.NewScanner(file)
	in.Buffer(make([]byte, 0, 8<<10), 64<<10)
	for n := 0; n < maxMaps && in.Scan(); n++ {
		m, ok := parseMapping(in.Bytes())
		if !ok {
			continue
		}
		var st unix.Stat_t
		link := f.procPath(pidName(pid), "map_files", fmt.Sprintf("%x-%x", m.start, m.end))
		if unix.Stat(link, &st) != nil {
			continue
		}
		id := FileID{Dev: m.dev, Ino: m.ino, MtimeSec: st.Mtim.Sec}
		if !seen[id] {
			seen[id] = true
			out = append(out, Executable{id, FileHint{PID: pid, Start: m.start, End: m.end, Path: m.path, Size: st.Size}})
		}
	}
	return out, nil // a line that is too long ends the list: what comes later is announced by the kernel
}

type mapping struct {
	start, end uint64
	dev, ino   uint64
	path       string
}

// parseMapping reads one line of /proc/PID/maps (proc_pid_maps(5)) if it maps code of a file.
func parseMapping(line []byte) (m mapping, ok bool) {
	fields := bytes.Fields(line)
	if len(fields) < 6 || len(fields[1]) != 4 || fields[1][2] != 'x' {
		return m, false
	}
	lo, hi, ok1 := bytes.Cut(fields[0], []byte{'-'})
	major, minor, ok2 := bytes.Cut(fields[3], []byte{':'})
	if !ok1 || !ok2 {
		return m, false
	}
	var err error
	number := func(b []byte, base int) uint64 {
		n, e := strconv.ParseUint(string(b), base, 64)
		if e != nil {
			err = e
		}
		return n
	}
	m.start, m.end = number(lo, 16), number(hi, 16)
	m.dev = number(major, 16)<<20 | number(minor, 16)
	m.ino = number(fields[4], 10)
	m.path = string(fields[5])
	return m, err == nil && m.ino != 0 && m.start < m.end && m.path[0] == '/'
}

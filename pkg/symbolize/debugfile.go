package symbolize

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// maxCRC bounds what is read to check a debug file that has no build ID.
const maxCRC = 512 << 20

// A DebugFile is an opened separate debug file.
type DebugFile interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// DebugDirs says where separate debug files are. The zero value looks in
// /usr/lib/debug.
type DebugDirs struct {
	// Roots are directories laid out as gdb's debug-file-directory: .build-id/xx/rest.debug
	// and, for objects with a known path, the object's directory. nil is /usr/lib/debug;
	// an empty slice is none.
	Roots []string
	// Open opens a file; nil opens regular files of this machine.
	Open func(path string) (DebugFile, error)
}

func (d DebugDirs) roots() []string {
	if d.Roots == nil {
		return []string{"/usr/lib/debug"}
	}
	return d.Roots
}

func (d DebugDirs) open(path string) (DebugFile, error) {
	if d.Open != nil {
		return d.Open(path)
	}
	return openRegular(path)
}

type regularFile struct {
	*os.File
	size int64
}

func (f regularFile) Size() int64 { return f.size }

// openRegular opens a regular file and nothing that could block or act on opening
// (a FIFO, a terminal, a device).
func openRegular(path string) (DebugFile, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open debug file: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("open debug file %s: not a regular file", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return regularFile{f, info.Size()}, nil
}

// find opens the debug file of an object with a symbol table, or returns nil. gnuID
// is the object's build ID; path is the object's own path, "" if it has none that
// may be used.
func (d DebugDirs) find(r io.ReaderAt, size int64, f *file, gnuID, path string) (DebugFile, *file) {
	if len(gnuID) > 2 {
		for _, root := range d.roots() {
			name := filepath.Join(root, ".build-id", gnuID[:2], gnuID[2:]+".debug")
			if df, ff := d.try(name, gnuID, nil); df != nil {
				return df, ff
			}
		}
	}
	link, crc, ok := f.debuglink(r, size)
	if !ok || path == "" {
		return nil, nil
	}
	dir := filepath.Dir(path)
	names := []string{filepath.Join(dir, link), filepath.Join(dir, ".debug", link)}
	for _, root := range d.roots() {
		names = append(names, filepath.Join(root, dir, link))
	}
	for _, name := range names {
		if df, ff := d.try(name, gnuID, &crc); df != nil {
			return df, ff
		}
	}
	return nil, nil
}

// try opens one file and checks that it belongs to the object: by build ID where
// both have one, otherwise by the CRC of .gnu_debuglink.
func (d DebugDirs) try(name, gnuID string, crc *uint32) (DebugFile, *file) {
	df, err := d.open(name)
	if err != nil {
		return nil, nil
	}
	f, err := readFile(df, df.Size())
	if err == nil && f.sectionOf(elf.SHT_SYMTAB) != nil {
		id, _ := f.readBuildID(df, df.Size())
		switch {
		case gnuID != "" && id != "":
			if id == gnuID {
				return df, f
			}
		case crc != nil && df.Size() <= maxCRC && checksum(df) == *crc:
			return df, f
		}
	}
	df.Close()
	return nil, nil
}

func checksum(df DebugFile) uint32 {
	h := crc32.NewIEEE()
	if _, err := io.Copy(h, io.NewSectionReader(df, 0, df.Size())); err != nil {
		return 0
	}
	return h.Sum32()
}

// debuglink parses .gnu_debuglink: a file name, padding to 4 bytes and a CRC-32
// (GDB manual, "Debugging Information in Separate Files").
func (f *file) debuglink(r io.ReaderAt, size int64) (name string, crc uint32, ok bool) {
	s := f.section(".gnu_debuglink")
	if s == nil || s.size < 8 || s.size > 512 {
		return "", 0, false
	}
	b := table(r, size, s.off, 1, int(s.size))
	name, _, found := strings.Cut(string(b), "\x00")
	at := (len(name) + 4) &^ 3
	if !found || at+4 > len(b) || name == "" || name == "." || name == ".." || strings.ContainsRune(name, '/') {
		return "", 0, false
	}
	return name, binary.LittleEndian.Uint32(b[at:]), true
}

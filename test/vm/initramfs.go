package vm

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// File types of a cpio header's mode, as in <sys/stat.h>.
const (
	modeDir  = 0o040000
	modeChar = 0o020000
	modeFile = 0o100000
)

// An Initramfs writes an archive that the kernel unpacks as its first root file
// system: newc cpio (Documentation/driver-api/early-userspace/buffer-format.rst).
// It can hold device nodes, which needs no privilege to write. The first error
// sticks and is returned by every later call.
type Initramfs struct {
	w     *bufio.Writer
	inode uint32
	dirs  map[string]bool
	err   error
}

// NewInitramfs begins an archive with the directories that mounts need and the
// console that the kernel opens for PID 1.
func NewInitramfs(w io.Writer) *Initramfs {
	a := &Initramfs{w: bufio.NewWriter(w), dirs: make(map[string]bool)}
	for _, dir := range []string{"bin", "dev", "etc", "proc", "root", "run", "sys", "tmp"} {
		a.mkdir(dir)
	}
	a.entry("dev/console", modeChar|0o600, nil, 5, 1)
	a.entry("dev/null", modeChar|0o666, nil, 1, 3)
	return a
}

// Add writes an executable file and the directories above it.
func (a *Initramfs) Add(name string, data []byte) error {
	name = strings.TrimPrefix(path.Clean(name), "/")
	a.mkdir(path.Dir(name))
	a.entry(name, modeFile|0o755, data, 0, 0)
	return a.err
}

// AddFile is Add with the content of the file src.
func (a *Initramfs) AddFile(name, src string) error {
	data, err := os.ReadFile(src)
	if err != nil {
		a.err = fmt.Errorf("add %s to the initramfs: %w", name, err)
		return a.err
	}
	return a.Add(name, data)
}

// Close ends the archive. It does not close the underlying writer.
func (a *Initramfs) Close() error {
	a.entry("TRAILER!!!", 0, nil, 0, 0)
	if a.err == nil {
		a.err = a.w.Flush()
	}
	return a.err
}

func (a *Initramfs) mkdir(dir string) {
	if dir == "." || dir == "/" || a.dirs[dir] {
		return
	}
	a.mkdir(path.Dir(dir))
	a.dirs[dir] = true
	a.entry(dir, modeDir|0o755, nil, 0, 0)
}

// entry writes one header, name and content. The name and the content are padded to
// four bytes each, counted from the start of the header.
func (a *Initramfs) entry(name string, mode uint32, data []byte, major, minor uint32) {
	if a.err != nil {
		return
	}
	if uint64(len(data)) > 1<<32-1 {
		a.err = fmt.Errorf("add %s to the initramfs: %d bytes are more than the format holds", name, len(data))
		return
	}
	a.inode++
	const uid, gid, links, mtime, check = 0, 0, 1, 0, 0
	head := "070701"
	for _, field := range []uint32{a.inode, mode, uid, gid, links, mtime, uint32(len(data)),
		0, 0, major, minor, uint32(len(name) + 1), check} {
		head += fmt.Sprintf("%08X", field)
	}
	head += name + "\x00"
	a.w.WriteString(head + zeros(len(head)))
	a.w.Write(data)
	_, a.err = a.w.WriteString(zeros(len(data)))
}

// zeros pads n to a multiple of four.
func zeros(n int) string { return "\x00\x00\x00"[:-n&3] }

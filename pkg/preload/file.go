package preload

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A File is a helper that processes can be given by LD_PRELOAD: for everybody to read, for nobody but us to write.
type File struct {
	Path string
	dir  string
}

// Write puts the helper into a new folder below the first of dirs from which code may be run, and whose name LD_PRELOAD
// can hold (ld.so(8): names end at spaces and colons, and $ begins a token).
//
// A descriptor of ours would need no folder, but a command that runs as another user, and what it starts after we have
// ended, could not open it.
func Write(dirs []string, o Options) (*File, error) {
	content, err := Image(o)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, dir := range dirs {
		f, err := write(dir, content)
		if err == nil {
			return f, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("write helper: %w", errors.Join(errs...))
}

func write(dir string, content []byte) (*File, error) {
	if strings.ContainsAny(dir, " \t\n:;$") || !filepath.IsAbs(dir) {
		return nil, fmt.Errorf("%q cannot be in LD_PRELOAD", dir)
	}
	own, err := os.MkdirTemp(dir, "ebpfprof-")
	if err != nil {
		return nil, err
	}
	f := &File{Path: filepath.Join(own, "libebpfprof-preload.so"), dir: own}
	if err := f.fill(content); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (f *File) fill(content []byte) error {
	// Whatever the umask: others are to read it.
	if err := os.Chmod(f.dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(f.Path, content, 0o644); err != nil {
		return err
	}
	if err := os.Chmod(f.Path, 0o644); err != nil {
		return err
	}
	return runnable(f.Path)
}

// runnable finds out by trying whether code can be mapped from there: not where it is mounted noexec.
func runnable(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	m, err := unix.Mmap(int(file.Fd()), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE)
	if err != nil {
		return fmt.Errorf("map code from %s: %w", path, err)
	}
	return unix.Munmap(m)
}

// Close removes the file. Processes that have mapped it keep it; the dynamic linker of those that are started later, with
// the same environment, tells that it is not there and goes on.
func (f *File) Close() error { return os.RemoveAll(f.dir) }

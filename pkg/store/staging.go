package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// A staging is an interval's directory while it is written, below tmp. All of it becomes part of the store with one
// rename, after all of it is on the disk: a kill or a power cut leaves the whole interval or nothing.
type staging struct {
	dir   string
	gz    *gzip.Writer
	open  []*os.File
	bytes int64
}

// The disk is told once to write many files: it takes a third of the time of one after the other (measured: 200 files,
// 60 ms and 25 ms; syncfs takes less, but waits for whatever else is being written to the file system).
const (
	syncers  = 16
	maxOpen  = 128
	dirMode  = 0o750
	fileMode = 0o640
)

func (s *Store) stage(name string, compression int) (*staging, error) {
	gz, err := gzip.NewWriterLevel(nil, compression)
	if err != nil {
		return nil, err
	}
	g := &staging{dir: filepath.Join(s.dir, tmpDir, name), gz: gz, bytes: onDisk(1)}
	return g, os.Mkdir(g.dir, dirMode)
}

// add writes one file.
func (g *staging) add(name string, content []byte) error {
	f, err := os.OpenFile(filepath.Join(g.dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	g.open = append(g.open, f)
	g.gz.Reset(f)
	if _, err := g.gz.Write(content); err != nil {
		return err
	}
	if err := g.gz.Close(); err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	g.bytes += onDisk(st.Size())
	if len(g.open) >= maxOpen {
		return g.sync()
	}
	return nil
}

// sync waits until the files that are open are on the disk, and closes them.
func (g *staging) sync() error {
	errs := make([]error, syncers)
	var wg sync.WaitGroup
	for i := range syncers {
		wg.Go(func() {
			for n := i; n < len(g.open); n += syncers {
				errs[i] = errors.Join(errs[i], g.open[n].Sync())
			}
		})
	}
	wg.Wait()
	return errors.Join(errors.Join(errs...), g.close())
}

func (g *staging) close() (err error) {
	for _, f := range g.open {
		err = errors.Join(err, f.Close())
	}
	g.open = nil
	return err
}

// commit makes the directory part of the store at path. When it returns without an error, that is so after a power cut
// too.
func (g *staging) commit(path string) error {
	if err := g.sync(); err != nil {
		return err
	}
	if err := syncDir(g.dir); err != nil {
		return err
	}
	parent := filepath.Dir(path)
	if err := makeDir(parent); err != nil {
		return err
	}
	if err := os.Rename(g.dir, path); err != nil {
		return err
	}
	if err := syncDir(parent); err != nil {
		// It may or may not last. The caller counts it as dropped, so it must not be found later.
		return errors.Join(err, os.RemoveAll(path))
	}
	return nil
}

// abandon removes what was written so far.
func (g *staging) abandon() {
	_ = g.close()
	_ = os.RemoveAll(g.dir) // or the next Open does
}

// makeDir makes a directory and its parents, on the disk.
func makeDir(dir string) error {
	if st, err := os.Stat(dir); err == nil {
		if !st.IsDir() {
			return fmt.Errorf("%s is not a directory", dir)
		}
		return nil
	}
	if err := makeDir(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, dirMode); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

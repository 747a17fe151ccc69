package agent

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/ebpfprof/ebpfprof/pkg/unwind"
)

const (
	// cacheRows is how many rows a table must have to be worth a file: fewer compile in the time of a read.
	cacheRows = 2000
	// cacheBytes bounds the folder; the oldest files go first.
	cacheBytes = 256 << 20
	cacheExt   = ".unwind"
)

// A tableCache keeps compiled tables on disk. The zero value keeps none. What fails is compiled again and not told:
// nothing depends on the cache.
//
// The key is the file itself (device, inode, size, times of change to the nanosecond) and not its build ID alone: anybody
// can write libc's build ID into a file of his own, and nobody but root can give that file libc's inode.
type tableCache struct {
	dir   string
	wrote bool
}

// openCache makes dir if it can be made. Without a directory that is ours alone there is no cache.
func openCache(dir string) tableCache {
	if dir == "" || os.MkdirAll(dir, 0o700) != nil {
		return tableCache{}
	}
	var st unix.Stat_t
	if unix.Lstat(dir, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != os.Geteuid() || st.Mode&0o022 != 0 {
		return tableCache{}
	}
	return tableCache{dir: dir}
}

// path names the cache's file for f, "" without a cache.
func (c *tableCache) path(f *os.File, buildID string) string {
	var st unix.Stat_t
	if c.dir == "" || f == nil || unix.Fstat(int(f.Fd()), &st) != nil {
		return ""
	}
	h := sha256.New()
	_ = binary.Write(h, binary.LittleEndian, []int64{
		int64(st.Dev), int64(st.Ino), st.Size, st.Mtim.Nano(), st.Ctim.Nano(),
	})
	h.Write([]byte(buildID))
	return filepath.Join(c.dir, hex.EncodeToString(h.Sum(nil)[:20])+cacheExt)
}

// load returns the table of a path, nil without one.
func (c *tableCache) load(path string) *unwind.Table {
	if path == "" {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	t, err := unwind.Decode(f)
	if err != nil {
		os.Remove(path) // damaged, or of another version
		return nil
	}
	return t
}

// store writes a table whole or not at all.
func (c *tableCache) store(path string, t *unwind.Table) {
	if path == "" || t.Len() < cacheRows {
		return
	}
	f, err := os.CreateTemp(c.dir, "new-*")
	if err != nil {
		return
	}
	defer os.Remove(f.Name()) // gone after the rename
	defer f.Close()
	if t.Encode(f) == nil && f.Close() == nil && os.Rename(f.Name(), path) == nil {
		c.wrote = true
	}
}

// prune drops the oldest files until limit bytes are left, and what an earlier run left unfinished.
func (c *tableCache) prune(limit int64) {
	if c.dir == "" || !c.wrote {
		return
	}
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	var files []fs.FileInfo
	var sum int64
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			files = append(files, info)
			sum += info.Size()
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return cmp.Compare(a.ModTime().UnixNano(), b.ModTime().UnixNano()) })
	for _, f := range files {
		if sum <= limit {
			return
		}
		if os.Remove(filepath.Join(c.dir, f.Name())) == nil {
			sum -= f.Size()
		}
	}
}

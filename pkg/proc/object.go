package proc

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A FileID identifies the file of a mapping as the kernel's inode does.
type FileID struct {
	Dev      uint64 // of the super block, as the kernel packs it: major<<20 | minor
	Ino      uint64
	MtimeSec int64
}

// A FileHint says where the file of a mapping may be found.
type FileHint struct {
	PID        int    // 0 if unknown
	Start, End uint64 // exact bounds of the mapping in that process; 0, 0 if unknown
	// Path is absolute in the process's mount namespace, as the kernel's dentries
	// say; "" if unknown. It may end in " (deleted)".
	Path string
	Size int64 // 0 if unknown
	// AllowFUSE also opens files that a user space program serves. Then opening and
	// reading may block forever: do both where a goroutine may be lost.
	AllowFUSE bool
}

// OpenObject opens the file of a mapping for reading, while the process lives or
// after it died. It tries, in this order,
//
//  1. /proc/PID/map_files/START-END, which works for deleted files and those of
//     other mount namespaces (needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN)
//  2. /proc/PID/exe, the same for the main program (needs ptrace access)
//  3. Path below /proc/PID/root
//  4. Path below FS.Root
//
// and returns the first that is the very file: a regular file with the inode
// number and modification time of id and the size of h, and the device, which
// however Btrfs and overlayfs report differently from what their inodes say.
// Anything else is refused, so a replaced file is never taken for the mapped one;
// the error lists all attempts.
//
// Nothing is opened before it is checked, so FIFOs, devices and leases never
// block. Files on FUSE are refused (see FileHint), and so are paths that lead
// through it, because its server may be hostile and never answer. Two dangers stay:
// a dead NFS or 9P server, and an overlay whose lower layer is on FUSE, which
// nothing betrays. The file may be truncated at any time: read it, do not map it.
//
// name is what to show: the link in map_files if it can be read, else Path;
// without " (deleted)", not necessarily a path, not necessarily UTF-8.
func (f FS) OpenObject(id FileID, h FileHint) (file *os.File, name string, err error) {
	o := opener{fs: f, id: id, hint: h, path: strings.TrimSuffix(h.Path, deletedSuffix)}
	name = o.path
	var errs []error
	if h.PID > 0 && h.Start < h.End {
		link := f.procPath(pidName(h.PID), "map_files", fmt.Sprintf("%x-%x", h.Start, h.End))
		if target, err := os.Readlink(link); err == nil {
			name = strings.TrimSuffix(target, deletedSuffix)
		}
		file, err := o.openLink(link, name)
		if err == nil {
			return file, name, nil
		}
		errs = append(errs, err)
	}
	if h.PID > 0 {
		file, err := o.openLink(f.procPath(pidName(h.PID), "exe"), name)
		if err == nil {
			return file, name, nil
		}
		errs = append(errs, err)
	}
	if strings.HasPrefix(o.path, "/") {
		if h.PID > 0 {
			file, err := o.openPath(f.procPath(pidName(h.PID), "root"), h.PID)
			if err == nil {
				return file, name, nil
			}
			errs = append(errs, err)
		}
		file, err := o.openPath(f.root(), 0)
		if err == nil {
			return file, name, nil
		}
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		errs = append(errs, errors.New("neither process nor path is known"))
	}
	return nil, name, fmt.Errorf("open object %s: %w", orDefault(name, fmt.Sprintf("inode %d", id.Ino)), joined(errs))
}

// joined is errors.Join on one line.
type joined []error

func (j joined) Unwrap() []error { return j }
func (j joined) Error() string {
	texts := make([]string, len(j))
	for i, err := range j {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// An opener holds what the attempts of one OpenObject have in common.
type opener struct {
	fs   FS
	id   FileID
	hint FileHint
	path string
}

// openLink opens what a magic link of procfs stands for: no path is walked, so
// neither mounts nor symbolic links have a say.
func (o opener) openLink(link, name string) (*os.File, error) {
	fd, err := openFD(unix.AT_FDCWD, link, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC})
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return o.verified(fd, o.hint.PID, link, name)
}

// openPath opens o.path below root; pid is the process whose mounts are there, 0
// for our own. A path of the kernel's dentries has no symbolic links: one on the
// way means that it no longer leads to the file, and could lead anywhere.
func (o opener) openPath(root string, pid int) (*os.File, error) {
	full := filepath.Join(root, o.path)
	visible := o.path
	if pid == 0 {
		visible = full
	}
	mounts, err := o.fs.mounts(pid)
	if err != nil {
		return nil, fmt.Errorf("open %s: mounts on the way are unknown: %w", full, err)
	}
	if m, ok := servedByUser(mounts, visible); ok && !o.hint.AllowFUSE {
		return nil, fmt.Errorf("open %s: refused, %s on the way is served by a user space program", full, m.point)
	}
	dir, err := openFD(unix.AT_FDCWD, root, &unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC})
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	fd, err := openFD(dir, o.path, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil {
		return nil, fmt.Errorf("below %s: %w", root, err)
	}
	defer unix.Close(fd)
	return o.verified(fd, pid, full, full)
}

// verified turns a descriptor of O_PATH, which has not touched the file, into one
// that reads, if the file is the right one.
func (o opener) verified(fd, pid int, tried, name string) (*os.File, error) {
	// What the kernel has cached: asking a file system for more can block.
	st, err := statFD(fd, unix.AT_STATX_DONT_SYNC)
	if err != nil {
		return nil, fmt.Errorf("stat %s: %w", tried, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, fmt.Errorf("open %s: not a regular file", tried)
	}
	fstype := o.fs.fileSystem(pid, st)
	if err := o.mismatch(st, fstype); err != nil {
		return nil, fmt.Errorf("open %s: %w", tried, err)
	}
	if !o.hint.AllowFUSE && (fstype == "" || isFUSE(fstype)) {
		return nil, fmt.Errorf("open %s: refused, file system %q may be served by a user space program", tried, orDefault(fstype, "unknown"))
	}
	opened, err := o.fs.reopen(fd)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", tried, err)
	}
	// Same inode for certain, but it may have been written to meanwhile.
	if st, err = statFD(opened, 0); err == nil {
		err = o.mismatch(st, fstype)
	}
	if err != nil {
		unix.Close(opened)
		return nil, fmt.Errorf("open %s: %w", tried, err)
	}
	return os.NewFile(uintptr(opened), name), nil
}

func statFD(fd, flags int) (*unix.Statx_t, error) {
	const mask = unix.STATX_TYPE | unix.STATX_INO | unix.STATX_MTIME | unix.STATX_SIZE | unix.STATX_MNT_ID
	var st unix.Statx_t
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|flags, mask, &st)
	return &st, err
}

// reopen opens the inode of a descriptor for reading. O_NONBLOCK is for leases; it
// is cleared again, since reads of regular files ignore it.
func (f FS) reopen(fd int) (int, error) {
	name := fmt.Sprintf("self/fd/%d", fd)
	flags := uint64(unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY)
	opened, err := openFD(unix.AT_FDCWD, f.procPath(name), &unix.OpenHow{Flags: flags})
	if errors.Is(err, unix.ENOENT) { // f.Proc is a fixture, or of another PID namespace
		opened, err = openFD(unix.AT_FDCWD, filepath.Join("/proc", name), &unix.OpenHow{Flags: flags})
	}
	if err != nil {
		return -1, err
	}
	if err := unix.SetNonblock(opened, false); err != nil {
		unix.Close(opened)
		return -1, err
	}
	return opened, nil
}

// mismatch says in what a file differs from the mapped one; nil if in nothing.
func (o opener) mismatch(st *unix.Statx_t, fstype string) error {
	dev := kernelDev(uint64(st.Dev_major), uint64(st.Dev_minor))
	ino := st.Ino
	switch fstype {
	case "overlay":
		// Inodes of mapped files are those of the layer below; xino puts the
		// layer's number into the highest bits (Documentation/filesystems/overlayfs.rst).
		const layerBits = 16
		if o.id.Ino>>(64-layerBits) == 0 {
			ino = ino << layerBits >> layerBits
		}
		dev = o.id.Dev
	case "btrfs", "bcachefs": // a device number for each subvolume
		dev = o.id.Dev
	}
	switch {
	case ino != o.id.Ino:
		return fmt.Errorf("another file: inode %d, mapped was %d", ino, o.id.Ino)
	case dev != o.id.Dev:
		return fmt.Errorf("another file: device %d:%d, mapped was %d:%d", dev>>20, dev&(1<<20-1), o.id.Dev>>20, o.id.Dev&(1<<20-1))
	case st.Mtime.Sec != o.id.MtimeSec:
		return fmt.Errorf("changed since: modified at %d, mapped was %d", st.Mtime.Sec, o.id.MtimeSec)
	case o.hint.Size > 0 && st.Size != uint64(o.hint.Size):
		return fmt.Errorf("changed since: %d bytes, mapped were %d", st.Size, o.hint.Size)
	}
	return nil
}

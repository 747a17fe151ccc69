package proc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sleeper runs a copy of sleep and returns its content and what the kernel side
// would say of its text mapping.
func sleeper(t *testing.T, path string, cmd *exec.Cmd) (content []byte, id FileID, h FileHint) {
	t.Helper()
	copyOf(t, "sleep", path)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	startCmd(t, cmd)
	id, h = running(t, cmd.Process.Pid, path)
	return content, id, h
}

func running(t *testing.T, pid int, path string) (FileID, FileHint) {
	t.Helper()
	eventually(t, "exec", func() bool {
		maps, _ := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
		return bytes.Contains(maps, []byte(path)) && bytes.Contains(maps, []byte("[stack]"))
	})
	id, h := mappingOf(t, pid, path)
	var st unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/exe", pid), &st); err != nil {
		t.Fatal(err)
	}
	id.MtimeSec, h.Size = st.Mtim.Sec, st.Size
	return id, h
}

// mustOpen opens an object and compares all of it.
func mustOpen(t *testing.T, id FileID, h FileHint, want []byte, wantName string) {
	t.Helper()
	file, name, err := FS{}.OpenObject(id, h)
	if err != nil {
		t.Fatalf("OpenObject(%+v, %+v): %v", id, h, err)
	}
	defer file.Close()
	got, err := io.ReadAll(file)
	if err != nil || !bytes.Equal(got, want) || name != wantName {
		t.Errorf("OpenObject(%+v, %+v): %d bytes named %q, %v, want %d named %q", id, h, len(got), name, err, len(want), wantName)
	}
	flags, err := unix.FcntlInt(file.Fd(), unix.F_GETFL, 0)
	closeOnExec, _ := unix.FcntlInt(file.Fd(), unix.F_GETFD, 0)
	if err != nil || flags&(unix.O_NONBLOCK|unix.O_ACCMODE) != unix.O_RDONLY || closeOnExec&unix.FD_CLOEXEC == 0 {
		t.Errorf("flags %#x, %#x, %v, want read-only, blocking, close on exec", flags, closeOnExec, err)
	}
}

// mustRefuse also checks that the refusal does not take long.
func mustRefuse(t *testing.T, f FS, id FileID, h FileHint, parts ...string) {
	t.Helper()
	result := make(chan error, 1)
	go func() {
		file, _, err := f.OpenObject(id, h)
		if err == nil {
			file.Close()
		}
		result <- err
	}()
	select {
	case err := <-result:
		mustContain(t, err, parts...)
	case <-time.After(5 * time.Second):
		t.Fatal("OpenObject blocks")
	}
}

func TestOpenObjectWaysOfALivingProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sleep 1")
	content, id, h := sleeper(t, path, exec.Command(path, "66"))
	mustOpen(t, id, h, content, path)

	wrongBounds := h
	wrongBounds.End += 4096
	mustOpen(t, id, wrongBounds, content, path)

	noBounds := h
	noBounds.Start, noBounds.End = 0, 0
	mustOpen(t, id, noBounds, content, path)

	noPath := h
	noPath.Path, noPath.Size = "", 0
	mustOpen(t, id, noPath, content, path)

	noProcess := h
	noProcess.PID = 0
	mustOpen(t, id, noProcess, content, path)

	for _, wrong := range []FileID{
		{id.Dev, id.Ino + 1, id.MtimeSec}, {id.Dev, id.Ino, id.MtimeSec - 1}, {id.Dev + 1, id.Ino, id.MtimeSec},
	} {
		mustRefuse(t, FS{}, wrong, h, "map_files", "exe", "root", "mapped was")
	}
	wrongSize := h
	wrongSize.Size++
	mustRefuse(t, FS{}, id, wrongSize, "bytes, mapped were")
	mustRefuse(t, FS{}, id, FileHint{}, "neither process nor path")
	mustRefuse(t, FS{}, id, FileHint{Path: "relative"}, "neither process nor path")
}

func TestOpenObjectDeleted(t *testing.T) {
	needRoot(t)
	path := filepath.Join(t.TempDir(), "sleep")
	cmd := exec.Command(path, "67")
	content, id, h := sleeper(t, path, cmd)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	h.Path += deletedSuffix
	mustOpen(t, id, h, content, path) // map_files
	byExe := h
	byExe.Start, byExe.End = 0, 0
	mustOpen(t, id, byExe, content, path)
	kill(cmd)
	mustRefuse(t, FS{}, id, h, "no such file")
}

func TestOpenObjectDied(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sleep")
	cmd := exec.Command(path, "68")
	content, id, h := sleeper(t, path, cmd)
	kill(cmd)
	mustOpen(t, id, h, content, path)
}

// After the process died, its path may lead to anything.
func TestOpenObjectReplaced(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "sleep"), filepath.Join(dir, "other")
	cmd := exec.Command(path, "69")
	content, id, h := sleeper(t, path, cmd)
	kill(cmd)
	mtime := time.Unix(id.MtimeSec, 0)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	check(os.Rename(path, other))
	copyOf(t, "sleep", path)
	check(os.Chtimes(path, mtime, mtime))
	mustRefuse(t, FS{}, id, h, "another file: inode")

	check(os.Remove(path))
	check(os.Symlink(other, path))
	mustRefuse(t, FS{}, id, h, "not a regular file")

	check(os.Remove(path))
	check(unix.Mkfifo(path, 0o644))
	mustRefuse(t, FS{}, id, h, "not a regular file")

	check(os.Remove(path))
	check(os.Mkdir(path, 0o755))
	mustRefuse(t, FS{}, id, h, "not a regular file")

	check(os.Remove(path))
	check(os.Rename(other, path))
	check(os.Chtimes(path, mtime, mtime))
	mustOpen(t, id, h, content, path)
	check(os.Truncate(path, 100))
	check(os.Chtimes(path, mtime, mtime))
	mustRefuse(t, FS{}, id, h, "100 bytes")
	check(os.WriteFile(path, content, 0o755)) // the same inode, as long as before
	check(os.Chtimes(path, mtime.Add(time.Second), mtime.Add(time.Second)))
	mustRefuse(t, FS{}, id, h, "changed since")
}

// A directory on the way that became a symbolic link leads elsewhere.
func TestOpenObjectSymlinkOnTheWay(t *testing.T) {
	dir := t.TempDir()
	old := filepath.Join(dir, "old")
	if err := os.Mkdir(old, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(old, "sleep")
	cmd := exec.Command(path, "70")
	_, id, h := sleeper(t, path, cmd)
	kill(cmd)
	if err := errors.Join(os.Rename(old, old+"er"), os.Symlink(old+"er", old)); err != nil {
		t.Fatal(err)
	}
	mustRefuse(t, FS{}, id, h, "too many levels of symbolic links")
}

// A file of a mount namespace of which nothing is visible here, on a tmpfs and
// on an overlay whose layers are on different file systems.
func TestOpenObjectOtherMountNamespace(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	content, err := os.ReadFile(copyOf(t, "sleep", filepath.Join(dir, "sleep")))
	if err != nil {
		t.Fatal(err)
	}
	for name, setup := range map[string]string{
		"tmpfs": `mkdir m && mount -t tmpfs none m && cp sleep m/`,
		"overlay upper": `mkdir t m && mount -t tmpfs none t && mkdir t/l t/u t/w &&
			mount -t overlay none -o lowerdir=t/l,upperdir=t/u,workdir=t/w m && cp sleep m/`,
		"overlay of two": `mkdir l t m && cp sleep l/ && mount -t tmpfs none t && mkdir t/u t/w &&
			mount -t overlay none -o lowerdir=l,upperdir=t/u,workdir=t/w,xino=off m`,
		"overlay with xino": `mkdir l t m && cp sleep l/ && mount -t tmpfs none t && mkdir t/u t/w &&
			mount -t overlay none -o lowerdir=l,upperdir=t/u,workdir=t/w,xino=on m`,
	} {
		t.Run(name, func(t *testing.T) {
			sub := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
			if err := os.Mkdir(sub, 0o755); err != nil {
				t.Fatal(err)
			}
			copyOf(t, "sleep", filepath.Join(sub, "sleep"))
			cmd := exec.Command("unshare", "--mount", "sh", "-c", setup+` && exec "$PWD/m/sleep" 71`)
			cmd.Dir = sub
			startCmd(t, cmd)
			path := filepath.Join(sub, "m/sleep")
			id, h := running(t, cmd.Process.Pid, path)
			mustOpen(t, id, h, content, path)
			byRoot := h
			byRoot.Start, byRoot.End = 0, 0
			mustOpen(t, id, byRoot, content, path)
			mustRefuse(t, FS{}, id, FileHint{Path: h.Path}, "no such file")

			// vm_file's own inode is that of the layer below.
			var st unix.Stat_t
			if err := unix.Stat(filepath.Join(sub, "l/sleep"), &st); err == nil {
				id.Dev, id.Ino = kernelDev(uint64(unix.Major(st.Dev)), uint64(unix.Minor(st.Dev))), st.Ino
				mustOpen(t, id, h, content, path)
				id.Ino++
				mustRefuse(t, FS{}, id, h, "another file: inode")
			}
		})
	}
}

// runc runs from a memfd, which is on no mount.
func TestOpenObjectMemfd(t *testing.T) {
	needRoot(t)
	fd, err := unix.MemfdCreate("prog", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	memfd := os.NewFile(uintptr(fd), "memfd")
	defer memfd.Close()
	content, err := os.ReadFile(copyOf(t, "sleep", filepath.Join(t.TempDir(), "sleep")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := memfd.Write(content); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "72")
	cmd.Path = fmt.Sprintf("/proc/self/fd/%d", 3)
	cmd.ExtraFiles = []*os.File{memfd}
	startCmd(t, cmd)
	id, h := running(t, cmd.Process.Pid, "/memfd:prog")
	mustOpen(t, id, h, content, "/memfd:prog")
}

// A file whose mount table calls it FUSE is refused, whichever way leads to it.
func TestOpenObjectOnFUSE(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sleep")
	_, id, h := sleeper(t, path, exec.Command(path, "73"))
	mountinfo := func(fstype string, dev uint64) FS {
		dir := t.TempDir()
		line := fmt.Sprintf("9999999 1 %d:%d / /nowhere rw - %s none rw\n", dev>>20, dev&(1<<20-1), fstype)
		for _, pid := range []string{"self", fmt.Sprint(h.PID)} {
			err := errors.Join(os.MkdirAll(filepath.Join(dir, pid), 0o755),
				os.WriteFile(filepath.Join(dir, pid, "mountinfo"), []byte(line), 0o644))
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(path, filepath.Join(dir, fmt.Sprint(h.PID), "exe")); err != nil {
			t.Fatal(err)
		}
		return FS{Proc: dir}
	}
	for _, fstype := range []string{"fuse", "fuse.evil", "fuseblk"} {
		mustRefuse(t, mountinfo(fstype, id.Dev), id, h, "refused", fstype, "exe")
	}
	mustRefuse(t, mountinfo("ext4", id.Dev+1), id, h, "refused", "unknown")
	forced := h
	forced.AllowFUSE = true
	for _, f := range []FS{mountinfo("fuse.evil", id.Dev), mountinfo("ext4", id.Dev)} {
		file, _, err := f.OpenObject(id, forced)
		if err != nil {
			t.Fatal(err)
		}
		file.Close()
	}
}

// A FUSE server that never answers must not be asked: neither for a file of its
// own nor for a path that leads through it.
func TestOpenObjectBehindSilentFUSE(t *testing.T) {
	needRoot(t)
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("this kernel has no FUSE: ", err)
	}
	connection := true
	abort := func() {
		if connection {
			unix.Close(fd)
			connection = false
		}
	}
	defer abort()
	dir := t.TempDir()
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd)
	if err := unix.Mount("silent", dir, "fuse.silent", 0, options); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	h := FileHint{PID: os.Getpid(), Path: filepath.Join(dir, "lib.so")}
	mustRefuse(t, FS{}, FileID{Ino: 1}, h, "refused", "served by a user space program")

	// The test's own test: without the refusal it would block.
	h.AllowFUSE = true
	answer := make(chan error, 1)
	go func() {
		_, _, err := FS{}.OpenObject(FileID{Ino: 1}, h)
		answer <- err
	}()
	select {
	case err := <-answer:
		t.Errorf("the silent server answered: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	abort()
	if err := <-answer; err == nil {
		t.Error("opened a file of an aborted connection")
	}
}

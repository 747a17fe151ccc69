package kernel

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrNotObtainable says that the archive has no kernel of a release, or cannot be
// reached.
var ErrNotObtainable = errors.New("not obtainable")

// A Store keeps kernels in a folder, so that each is fetched once. Several processes
// may use one folder; one Store is for one goroutine at a time.
type Store struct {
	dir    string
	mirror string
	lock   *os.File
}

// Options of a store; the zero value works on a Debian machine.
type Options struct {
	Dir    string // the user's cache folder
	Mirror string // of Debian: a URL that ends in /debian; that of the system's apt
}

// An Image is a kernel on disk.
type Image struct {
	Release Release
	Package string // with version
	Path    string // of the bzImage or Image
	BTFPath string // of its BTF
}

// OpenStore takes the folder for this process, waiting for others that have it.
func OpenStore(ctx context.Context, o Options) (*Store, error) {
	if o.Dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("find a folder for kernels: %w", err)
		}
		o.Dir = filepath.Join(cache, "ebpfprof-vm")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("open the kernel store: %w", err)
	}
	if o.Mirror == "" {
		if o.Mirror, err = systemMirror(ctx); err != nil {
			return nil, fmt.Errorf("open the kernel store: %w", err)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("open the kernel store: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the kernel store: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		lock.Close()
		return nil, fmt.Errorf("lock the kernel store %s: %w", dir, err)
	}
	return &Store{dir: dir, mirror: strings.TrimRight(o.Mirror, "/"), lock: lock}, nil
}

// Close gives the folder to others. Images stay valid.
func (s *Store) Close() error { return s.lock.Close() }

// Image returns the newest kernel of a release, from the folder if it is there. If the
// archive does not give one, that is the newest in the folder; the error wraps
// ErrNotObtainable if there is none either.
func (s *Store) Image(ctx context.Context, r Release) (Image, error) {
	image, err := s.current(ctx, r)
	if errors.Is(err, ErrNotObtainable) {
		if name := r.newest(s.kept()); name != "" {
			return s.image(r, name), nil
		}
	}
	if err != nil {
		return Image{}, fmt.Errorf("kernel %s: %w", r.Name, err)
	}
	return image, nil
}

// current asks the archive what is newest and fetches it if it is not in the folder.
func (s *Store) current(ctx context.Context, r Release) (Image, error) {
	a, err := openArchive(filepath.Join(s.dir, "apt", r.suite+"-"+r.Arch), s.mirror, r.suite, r.Arch)
	if err != nil {
		return Image{}, err
	}
	names, err := a.names(ctx)
	if err != nil {
		return Image{}, fmt.Errorf("%w: %w", ErrNotObtainable, err)
	}
	name := r.newest(names)
	if name == "" {
		return Image{}, fmt.Errorf("%w: %s has no package like %v", ErrNotObtainable, r.suite, r.pattern)
	}
	image := s.image(r, name)
	if image.complete() {
		return image, nil
	}
	return image, s.fetch(ctx, a, image)
}

// kept names the packages in the folder.
func (s *Store) kept() (names []string) {
	dirs, _ := filepath.Glob(filepath.Join(s.dir, "kernels", "*"))
	for _, dir := range dirs {
		if s.image(Release{}, filepath.Base(dir)).complete() {
			names = append(names, filepath.Base(dir))
		}
	}
	return names
}

// complete: the BTF is written last, and under this name when it is whole.
func (i Image) complete() bool {
	_, err := os.Stat(i.BTFPath)
	return err == nil
}

func (s *Store) image(r Release, name string) Image {
	dir := filepath.Join(s.dir, "kernels", name)
	return Image{Release: r, Package: name, Path: filepath.Join(dir, "vmlinuz"), BTFPath: filepath.Join(dir, "btf")}
}

func (s *Store) fetch(ctx context.Context, a *archive, image Image) error {
	if err := os.MkdirAll(filepath.Dir(image.Path), 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(s.dir, "download-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	deb, err := a.download(ctx, tmp, image.Package)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotObtainable, err)
	}
	vmlinuz, err := kernelOf(ctx, deb)
	if err != nil {
		return err
	}
	btf, err := BTF(vmlinuz)
	if err != nil {
		return err
	}
	if err := os.WriteFile(image.Path, vmlinuz, 0o644); err != nil {
		return err
	}
	part := image.BTFPath + ".part"
	if err := os.WriteFile(part, btf, 0o644); err != nil {
		return err
	}
	return os.Rename(part, image.BTFPath)
}

// kernelOf returns the kernel image in a Debian package.
func kernelOf(ctx context.Context, deb string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", deb)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("unpack %s: %w", filepath.Base(deb), err)
	}
	image, err := kernelInTar(out)
	out.Close() // dpkg-deb may have more to say; we have what we want
	werr := cmd.Wait()
	if err == nil && image == nil {
		err = errors.Join(errors.New("no kernel in it"), werr)
	}
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", filepath.Base(deb), err)
	}
	return image, nil
}

// kernelInTar returns the first /boot/vmlinuz-* or /usr/lib/modules/*/vmlinuz, or nil.
func kernelInTar(r io.Reader) ([]byte, error) {
	files := tar.NewReader(r)
	for {
		h, err := files.Next()
		if err == io.EOF {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		name := path.Clean("/" + h.Name)
		boot, _ := path.Match("/boot/vmlinuz-*", name)
		modules, _ := path.Match("/usr/lib/modules/*/vmlinuz", name)
		if h.Typeflag == tar.TypeReg && (boot || modules) {
			if h.Size > maxVmlinux {
				return nil, fmt.Errorf("%s has %d bytes", name, h.Size)
			}
			return io.ReadAll(files)
		}
	}
}

package kernel

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// headerPackage matches what linux-headers-V-cloud-amd64 depends on to build modules, compilers apart.
var headerPackage = regexp.MustCompile(`^\s*Depends: (linux-headers-\S+-common|linux-kbuild-\S+)$`)

// Headers returns a folder with the packages that modules for a kernel are built with, unpacked as in a root
// directory. The error wraps ErrNotObtainable if the archive does not give them.
func (s *Store) Headers(ctx context.Context, image Image) (string, error) {
	name := "linux-headers-" + version(image.Package)
	dir := filepath.Join(s.dir, "headers", name)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := s.fetchHeaders(ctx, image.Release, name, dir); err != nil {
		return "", fmt.Errorf("headers of kernel %s: %w", image.Release.Name, err)
	}
	return dir, nil
}

func (s *Store) fetchHeaders(ctx context.Context, r Release, name, dir string) error {
	a, err := openArchive(filepath.Join(s.dir, "apt", r.suite+"-"+r.Arch), s.mirror, r.suite, r.Arch)
	if err != nil {
		return err
	}
	depends, err := a.run(ctx, "", "apt-cache", "depends", name)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotObtainable, err)
	}
	names := append(headerNames(string(depends)), name)
	if len(names) != 3 {
		return fmt.Errorf("%w: %s depends on other packages than expected: %q", ErrNotObtainable, name, names)
	}
	tmp, err := os.MkdirTemp(s.dir, "download-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	tree := filepath.Join(tmp, "tree")
	for _, name := range names {
		download := filepath.Join(tmp, name)
		if err := os.Mkdir(download, 0o755); err != nil {
			return err
		}
		deb, err := a.download(ctx, download, name)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrNotObtainable, err)
		}
		if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", deb, tree).CombinedOutput(); err != nil {
			return fmt.Errorf("unpack %s: %w: %s", name, err, lastLine(string(out)))
		}
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	return os.Rename(tree, dir) // whole, or not there
}

// headerNames reads what apt-cache depends prints.
func headerNames(depends string) (names []string) {
	for line := range strings.Lines(depends) {
		if m := headerPackage.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			names = append(names, m[1])
		}
	}
	return names
}

// Package fakepmu builds a kernel module that stands in for a hardware PMU in the guests of the kernel matrix, whose
// emulated CPUs have none. Its counts are known, so what reads them can be held to exact figures. The module is for
// tests only and is no part of any package of ours; README.md says what it proves.
package fakepmu

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

//go:embed module
var sources embed.FS

// Tools are the programs that Build runs, besides the kernel's own in the headers.
func Tools() []string { return []string{"make", "gcc", "ld"} }

// Build makes the module for a kernel and returns its path. Headers is a folder with Debian's packages
// linux-headers-V-cloud-amd64, linux-headers-V-common and linux-kbuild-V unpacked in it; Build writes paths into
// their Makefiles, so it must not be used by two at a time. Cache keeps what was built, by source and kernel.
func Build(ctx context.Context, headers, cache string) (string, error) {
	release, err := releaseOf(headers)
	if err != nil {
		return "", fmt.Errorf("build fakepmu: %w", err)
	}
	sum, err := sourceSum()
	if err != nil {
		return "", fmt.Errorf("build fakepmu: %w", err)
	}
	built := filepath.Join(cache, release+"-"+sum+".ko")
	if _, err := os.Stat(built); err == nil {
		return built, nil
	}
	if err := compile(ctx, headers, release, built); err != nil {
		return "", fmt.Errorf("build fakepmu for %s: %w", release, err)
	}
	return built, nil
}

// releaseOf names the kernel that the headers are of, as uname -r does.
func releaseOf(headers string) (string, error) {
	dirs, err := filepath.Glob(filepath.Join(headers, "usr/src/linux-headers-*-amd64"))
	if err != nil || len(dirs) != 1 {
		return "", fmt.Errorf("find the headers in %s: %d folders for amd64, want 1", headers, len(dirs))
	}
	return strings.TrimPrefix(filepath.Base(dirs[0]), "linux-headers-"), nil
}

// sourceSum identifies the sources in names of files.
func sourceSum() (string, error) {
	h := sha256.New()
	err := fs.WalkDir(sources, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := sources.ReadFile(name)
		fmt.Fprintf(h, "%s %d\n", name, len(data))
		h.Write(data)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)[:8]), err
}

// absolute matches the paths below /usr/src, under whatever root, in the Makefile of Debian's headers.
var absolute = regexp.MustCompile(`([ =])(/[^ \n]*)?/usr/src/`)

func compile(ctx context.Context, headers, release, out string) error {
	headers, err := filepath.Abs(headers)
	if err != nil {
		return err
	}
	tree := filepath.Join(headers, "usr/src/linux-headers-"+release)
	makefile := filepath.Join(tree, "Makefile")
	text, err := os.ReadFile(makefile)
	if err != nil {
		return err
	}
	text = absolute.ReplaceAll(text, []byte("${1}"+strings.ReplaceAll(headers, "$", "$$")+"/usr/src/"))
	if err := os.WriteFile(makefile, text, 0o644); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(out), "build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{"fakepmu.c", "Makefile"} {
		data, err := sources.ReadFile("module/" + name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return err
		}
	}
	// Without BTF of its own: that would want pahole and a vmlinux.
	cmd := exec.CommandContext(ctx, "make", "-s", "-C", tree, "M="+dir, "CC=gcc", "CONFIG_DEBUG_INFO_BTF_MODULES=", "modules")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w\n%s", err, output.String())
	}
	return os.Rename(filepath.Join(dir, "fakepmu.ko"), out)
}

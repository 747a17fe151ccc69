package kernel

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestKernelInTar(t *testing.T) {
	pack := func(entries ...tar.Header) *bytes.Buffer {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range entries {
			data := []byte(nil)
			if h.Typeflag == tar.TypeReg {
				data = []byte("content of " + h.Name)
			}
			h.Size, h.Mode = int64(len(data)), 0o644
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
			w.Write(data)
		}
		w.Close()
		return &b
	}
	for _, c := range []struct {
		name string
		tar  *bytes.Buffer
		want string
	}{
		{"boot", pack(tar.Header{Name: "./boot/", Typeflag: tar.TypeDir}, tar.Header{Name: "./boot/System.map-6", Typeflag: tar.TypeReg},
			tar.Header{Name: "./boot/vmlinuz-6.1.0", Typeflag: tar.TypeReg}), "content of ./boot/vmlinuz-6.1.0"},
		{"modules", pack(tar.Header{Name: "./boot/vmlinuz-7", Typeflag: tar.TypeSymlink, Linkname: "x"},
			tar.Header{Name: "./usr/lib/modules/7.3/vmlinuz", Typeflag: tar.TypeReg}), "content of ./usr/lib/modules/7.3/vmlinuz"},
		{"none", pack(tar.Header{Name: "./boot/config-6", Typeflag: tar.TypeReg}), ""},
	} {
		if got, err := kernelInTar(c.tar); err != nil || string(got) != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
	}
	if _, err := kernelInTar(bytes.NewReader(bytes.Repeat([]byte("junk"), 1000))); err == nil {
		t.Error("junk was read as an archive")
	}
}

// TestStoreWithoutAnArchive: an archive that cannot be asked is told apart from
// everything else, and a kernel that is there already needs no archive.
func TestStoreWithoutAnArchive(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	store, err := OpenStore(ctx, Options{Dir: dir, Mirror: "file://" + dir + "/no/debian"})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	release := Releases()[0]
	if _, err := store.Image(ctx, release); !errors.Is(err, ErrNotObtainable) {
		t.Errorf("Image: %v, want it not obtainable", err)
	}
	want := store.image(release, "linux-image-6.1.0-1-cloud-amd64")
	if err := os.MkdirAll(filepath.Dir(want.Path), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{want.Path, want.BTFPath} {
		if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := store.Image(ctx, release); err != nil || got.Package != want.Package {
		t.Errorf("Image: %+v, %v; want the one in the folder", got, err)
	}
}

// TestHeaderNames reads what apt-cache depends says of three generations of packages.
func TestHeaderNames(t *testing.T) {
	for _, c := range []struct{ depends, want string }{
		{"linux-headers-6.1.0-56-cloud-amd64\n  Depends: linux-headers-6.1.0-56-common\n  Depends: linux-kbuild-6.1\n" +
			"  Depends: linux-compiler-gcc-12-x86\n", "linux-headers-6.1.0-56-common linux-kbuild-6.1"},
		{"linux-headers-6.12.117+deb12-cloud-amd64\n  Depends: linux-base\n  Depends: linux-headers-6.12.117+deb12-common\n" +
			" |Depends: linux-image-6.12.117+deb12-cloud-amd64\n  Depends: linux-image-6.12.117+deb12-cloud-amd64-unsigned\n" +
			"  Depends: linux-kbuild-6.12.117+deb12\n  Depends: <gcc-12>\n",
			"linux-headers-6.12.117+deb12-common linux-kbuild-6.12.117+deb12"},
		{"", ""},
	} {
		if got := strings.Join(headerNames(c.depends), " "); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

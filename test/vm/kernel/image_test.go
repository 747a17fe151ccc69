package kernel

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// smallBTF is a header, one type (void*) and the empty string.
func smallBTF() []byte {
	le := binary.LittleEndian
	b := append([]byte(btfStart), make([]byte, 16)...)
	types := []byte{0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0}
	le.PutUint32(b[12:], uint32(len(types)))
	le.PutUint32(b[16:], uint32(len(types)))
	le.PutUint32(b[20:], 1)
	return append(append(b, types...), 0)
}

// vmlinux links an ELF file with a section .BTF.
func vmlinux(t *testing.T, btf []byte) []byte {
	t.Helper()
	dir := t.TempDir()
	src, obj, raw := filepath.Join(dir, "a.s"), filepath.Join(dir, "a.o"), filepath.Join(dir, "btf")
	for _, step := range [][]string{
		{"as", "-o", obj, src},
		{"objcopy", "--add-section", ".BTF=" + raw, obj},
	} {
		if err := os.WriteFile(src, []byte(".text\n.byte 0\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(raw, btf, 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(step[0], step[1:]...).CombinedOutput(); err != nil {
			t.Skipf("%s: %v: %s", step[0], err, out)
		}
	}
	data, err := os.ReadFile(obj)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// bzImage wraps a compressed vmlinux as boot.rst says.
func bzImage(compressed []byte) []byte {
	const sectors, offset = 2, 32
	image := make([]byte, (sectors+1)*512+offset)
	image[0x1f1] = sectors
	copy(image[0x202:], "HdrS")
	binary.LittleEndian.PutUint32(image[0x248:], offset)
	binary.LittleEndian.PutUint32(image[0x24c:], uint32(len(compressed)+4))
	return append(append(image, compressed...), 0, 0, 0, 0, 0xff)
}

func TestBTFOfBzImage(t *testing.T) {
	btf := smallBTF()
	elf := vmlinux(t, btf)
	var gz bytes.Buffer
	w := gzip.NewWriter(&gz)
	w.Write(elf)
	w.Close()
	images := map[string][]byte{"gzip": gz.Bytes()}
	for _, argv := range [][]string{{"lz4", "-lcq"}, {"zstd", "-cq"}, {"xz", "-cq"}, {"xz", "--format=lzma", "-cq"}} {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Stdin = bytes.NewReader(elf)
		out, err := cmd.Output()
		if err != nil {
			t.Logf("%v is not tested: %v", argv, err)
			continue
		}
		images[argv[0]+argv[1]] = out
	}
	for name, compressed := range images {
		if got, err := BTF(bzImage(compressed)); err != nil || !bytes.Equal(got, btf) {
			t.Errorf("%s: % x, %v", name, got, err)
		}
	}
	if got, err := BTF(elf); err != nil || !bytes.Equal(got, btf) {
		t.Errorf("vmlinux: % x, %v", got, err)
	}
}

func TestBTFOfRawImage(t *testing.T) {
	btf := smallBTF()
	image := append(bytes.Repeat([]byte("MZ\x9f\xeb\x01"), 100), btfStart...) // a header that says nothing
	image = append(append(image, make([]byte, 64)...), btf...)
	image = append(image, 1, 2, 3)
	if got, err := BTF(image); err != nil || !bytes.Equal(got, btf) {
		t.Errorf("% x, %v", got, err)
	}
}

func TestBTFOfTheRunningKernel(t *testing.T) {
	data, err := os.ReadFile("/sys/kernel/btf/vmlinux")
	if err != nil {
		t.Skipf("this kernel shows no BTF: %v", err)
	}
	if n := btfSize(data); n != len(data) {
		t.Errorf("the header gives a size of %d, the file has %d", n, len(data))
	}
}

func TestBTFOfNothing(t *testing.T) {
	for name, image := range map[string][]byte{
		"empty": nil, "zeros": make([]byte, 4096), "ELF": []byte("\x7fELF"), "header": []byte(btfStart),
		"bzImage": bzImage(nil), "unknown": bzImage(make([]byte, 64)), "gzip": bzImage([]byte("\x1f\x8bxxxxxxxxxx")),
		"beyond": bzImage(bytes.Repeat([]byte{0x1f, 0x8b}, 8))[:0x600],
	} {
		if btf, err := BTF(image); err == nil {
			t.Errorf("%s: found %d bytes of BTF", name, len(btf))
		}
	}
}

func FuzzBTF(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(smallBTF())
	f.Add(append([]byte("junk"), smallBTF()...))
	f.Add(bzImage([]byte("\x1f\x8b\x08")))
	f.Fuzz(func(t *testing.T, image []byte) {
		if isBzImage(image) && len(image) > 0x250 { // without running other programs
			for _, c := range compressions[1:] {
				image = bytes.ReplaceAll(image, []byte(c.magic), []byte("xxx"))
			}
		}
		if btf, err := BTF(image); err == nil && btfSize(btf) == 0 {
			t.Errorf("BTF of %d bytes without a header", len(btf))
		}
	})
}

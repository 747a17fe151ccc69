package kernel

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os/exec"
)

// maxVmlinux bounds an unpacked kernel. Debian's are below 80 MiB.
const maxVmlinux = 512 << 20

// compressions by the magic number that a bzImage's payload begins with. xz and lzma
// payloads are read by the same command.
var compressions = []struct {
	magic   string
	command []string // nil: gzip, which needs no program
}{
	{"\x1f\x8b", nil},
	{"\x02\x21\x4c\x18", []string{"lz4", "-dcq"}},
	{"\x28\xb5\x2f\xfd", []string{"zstd", "-dcq"}},
	{"\xfd7zXZ", []string{"xz", "-dcq"}},
	{"\x5d\x00\x00", []string{"xz", "--format=lzma", "-dcq"}},
}

// BTF returns the content of the section .BTF of a kernel image, the bytes that the
// running kernel shows as /sys/kernel/btf/vmlinux: of an x86 bzImage, of a vmlinux, or
// of an uncompressed arm64 Image, which is searched for it.
func BTF(image []byte) ([]byte, error) {
	if !isBzImage(image) {
		if bytes.HasPrefix(image, []byte(elf.ELFMAG)) {
			return sectionBTF(image)
		}
		return searchBTF(image)
	}
	vmlinux, err := unpack(image)
	if err != nil {
		return nil, err
	}
	return sectionBTF(vmlinux)
}

// isBzImage: the real-mode header (Documentation/arch/x86/boot.rst) has its magic
// number at 0x202; payload_offset and payload_length end at 0x250.
func isBzImage(image []byte) bool {
	return len(image) >= 0x250 && string(image[0x202:0x206]) == "HdrS"
}

// unpack returns the vmlinux in a bzImage. payload_offset counts from the end of the
// setup sectors; the payload's last four bytes are the unpacked size.
func unpack(image []byte) ([]byte, error) {
	sectors := uint64(image[0x1f1])
	if sectors == 0 {
		sectors = 4
	}
	start := (sectors+1)*512 + uint64(binary.LittleEndian.Uint32(image[0x248:]))
	size := uint64(binary.LittleEndian.Uint32(image[0x24c:]))
	if size < 8 || start+size > uint64(len(image)) {
		return nil, fmt.Errorf("unpack bzImage: payload [%d, +%d) is not within the file's %d bytes", start, size, len(image))
	}
	payload := image[start : start+size-4]
	for _, c := range compressions {
		if bytes.HasPrefix(payload, []byte(c.magic)) {
			return decompress(payload, c.command)
		}
	}
	return nil, fmt.Errorf("unpack bzImage: unknown compression, magic % x", payload[:4])
}

func decompress(payload []byte, command []string) ([]byte, error) {
	var out []byte
	if command == nil {
		r, err := gzip.NewReader(bytes.NewReader(payload))
		if err != nil {
			return nil, fmt.Errorf("unpack bzImage: %w", err)
		}
		out, err = io.ReadAll(io.LimitReader(r, maxVmlinux+1))
		if err != nil {
			return nil, fmt.Errorf("unpack bzImage: %w", err)
		}
	} else {
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Stdin = bytes.NewReader(payload)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		var err error
		// lz4 exits with 1 over padding behind the last block; what it wrote is whole,
		// or the ELF reader finds out.
		if out, err = cmd.Output(); len(out) == 0 {
			return nil, fmt.Errorf("unpack bzImage with %s: %w: %s", command[0], err, bytes.TrimSpace(stderr.Bytes()))
		}
	}
	if len(out) > maxVmlinux {
		return nil, fmt.Errorf("unpack bzImage: more than %d bytes", maxVmlinux)
	}
	return out, nil
}

func sectionBTF(vmlinux []byte) ([]byte, error) {
	f, err := elf.NewFile(bytes.NewReader(vmlinux))
	if err != nil {
		return nil, fmt.Errorf("read vmlinux: %w", err)
	}
	s := f.Section(".BTF")
	if s == nil {
		return nil, errors.New("read vmlinux: no section .BTF")
	}
	data, err := s.Data()
	if err != nil {
		return nil, fmt.Errorf("read section .BTF: %w", err)
	}
	if n := btfSize(data); n == 0 {
		return nil, errors.New("read section .BTF: no BTF header")
	}
	return data, nil
}

// searchBTF returns the largest piece of image that has a sound BTF header: small ones
// may be data of the kernel's own, or modules built in.
func searchBTF(image []byte) ([]byte, error) {
	var best []byte
	for rest := image; ; {
		i := bytes.Index(rest, []byte(btfStart))
		if i < 0 {
			break
		}
		if n := btfSize(rest[i:]); n > len(best) {
			best = rest[i : i+n]
		}
		rest = rest[i+1:]
	}
	if best == nil {
		return nil, errors.New("search the image for BTF: there is none (is it compressed?)")
	}
	return best, nil
}

// btfStart is struct btf_header (include/uapi/linux/btf.h) up to its first offset:
// magic, version 1, flags 0, header length 24; little endian.
const btfStart = "\x9f\xeb\x01\x00\x18\x00\x00\x00"

// btfSize returns the length of the BTF that data begins with, as its header tells, or
// 0 if that is no header or the data is shorter. The kernel has the strings follow the
// types at once.
func btfSize(data []byte) int {
	if len(data) < 24 || string(data[:8]) != btfStart {
		return 0
	}
	le := binary.LittleEndian
	typesAt, types := uint64(le.Uint32(data[8:])), uint64(le.Uint32(data[12:]))
	stringsAt, strings := uint64(le.Uint32(data[16:])), uint64(le.Uint32(data[20:]))
	end := 24 + stringsAt + strings
	if typesAt != 0 || stringsAt != types || types == 0 || strings == 0 || end > uint64(len(data)) {
		return 0
	}
	return int(end)
}

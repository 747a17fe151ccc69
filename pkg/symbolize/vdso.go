package symbolize

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

const (
	auxSysinfoEHDR = 33 // AT_SYSINFO_EHDR, uapi/linux/auxvec.h
	maxVDSO        = 1 << 20
)

// VDSO returns the vDSO of this process as an object, copied from memory. It is
// the same image in every process of this kernel with the same word size; only
// its address differs.
func VDSO() (*Object, error) {
	image, err := VDSOImage()
	if err != nil {
		return nil, err
	}
	o, err := NewObject(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		return nil, fmt.Errorf("parse vDSO: %w", err)
	}
	o.debug = DebugDirs{Roots: []string{}}
	return o, nil
}

// VDSOImage returns the bytes of the vDSO, an ELF file.
func VDSOImage() ([]byte, error) {
	auxv, err := os.ReadFile("/proc/self/auxv")
	if err != nil {
		return nil, fmt.Errorf("read vDSO address: %w", err)
	}
	start, ok := vdsoAddress(auxv)
	if !ok {
		return nil, errors.New("read vDSO address: no AT_SYSINFO_EHDR in /proc/self/auxv")
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return nil, fmt.Errorf("read vDSO size: %w", err)
	}
	size, ok := mappingSize(string(maps), start)
	if !ok || size > maxVDSO {
		return nil, fmt.Errorf("read vDSO size: no mapping at %#x of at most %d bytes in /proc/self/maps", start, maxVDSO)
	}
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		return nil, fmt.Errorf("open own memory: %w", err)
	}
	defer mem.Close()
	image := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(mem, int64(start), int64(size)), image); err != nil {
		return nil, fmt.Errorf("read vDSO at %#x: %w", start, err)
	}
	return image, nil
}

// vdsoAddress finds AT_SYSINFO_EHDR in an auxiliary vector of 64-bit words.
func vdsoAddress(auxv []byte) (uint64, bool) {
	for ; len(auxv) >= 16; auxv = auxv[16:] {
		if binary.LittleEndian.Uint64(auxv) == auxSysinfoEHDR {
			return binary.LittleEndian.Uint64(auxv[8:]), true
		}
	}
	return 0, false
}

// mappingSize returns the size of the mapping that starts at start in the format
// of /proc/PID/maps.
func mappingSize(maps string, start uint64) (uint64, bool) {
	for line := range strings.Lines(maps) {
		rng, _, _ := strings.Cut(line, " ")
		lo, hi, ok := strings.Cut(rng, "-")
		if !ok {
			continue
		}
		from, err1 := strconv.ParseUint(lo, 16, 64)
		to, err2 := strconv.ParseUint(hi, 16, 64)
		if err1 == nil && err2 == nil && from == start && to > from {
			return to - from, true
		}
	}
	return 0, false
}

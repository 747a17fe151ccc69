// Package usdt reads the statically defined probes of an object file: the notes that SystemTap's <sys/sdt.h> leaves, and
// everything that is compatible with it.
package usdt

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// A Probe is one place in code. The same probe may be in several.
type Probe struct {
	Provider, Name string
	Offset         uint64 // in the file, of the instruction
	// Semaphore is the offset in the file of a counter of 16 bits that has to be more than 0 for the probe to be passed; 0: none.
	Semaphore uint64
	Args      []Arg
}

const (
	noteType  = 3 // NT_STAPSDT
	noteOwner = "stapsdt"
	section   = ".note.stapsdt"
	base      = ".stapsdt.base"

	maxNotes  = 1 << 20 // bytes; libstdc++ has 1 KiB, a large JVM 100 KiB
	maxProbes = 16 << 10
)

// Find returns the probes of a provider. A file without notes has none, which is no error; a note that cannot be read is
// skipped, as it may be another's.
//
// Errors: not an ELF file, or one of another machine than amd64 and arm64.
func Find(r io.ReaderAt, provider string) (probes []Probe, err error) {
	f, err := elf.NewFile(r)
	if err != nil {
		return nil, fmt.Errorf("find probes: %w", err)
	}
	arch, ok := architecture(f.Machine)
	if !ok {
		return nil, fmt.Errorf("find probes: machine %s", f.Machine)
	}
	s := f.Section(section)
	if s == nil || s.Type == elf.SHT_NOBITS || s.Size > maxNotes {
		return nil, nil
	}
	notes, err := s.Data()
	if err != nil {
		return nil, fmt.Errorf("find probes: %w", err)
	}
	var moved uint64 // by which prelink has shifted the code since the note was written
	for _, note := range parse(notes, f.ByteOrder) {
		if note.provider != provider {
			continue
		}
		if b := f.Section(base); b != nil && note.base != 0 {
			moved = b.Addr - note.base
		}
		p := Probe{Provider: note.provider, Name: note.name, Args: parseArgs(note.args, arch)}
		if p.Offset, err = fileOffset(f, note.pc+moved, elf.PF_X); err != nil {
			continue
		}
		if note.semaphore != 0 {
			if p.Semaphore, err = fileOffset(f, note.semaphore+moved, elf.PF_W); err != nil {
				continue
			}
		}
		probes = append(probes, p)
	}
	return probes, nil
}

var errNoSegment = errors.New("in no segment")

// fileOffset tells where an address of the file's own lies in it.
func fileOffset(f *elf.File, vaddr uint64, flag elf.ProgFlag) (uint64, error) {
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && p.Flags&flag != 0 && vaddr >= p.Vaddr && vaddr-p.Vaddr < p.Filesz {
			return vaddr - p.Vaddr + p.Off, nil
		}
	}
	return 0, errNoSegment
}

type note struct {
	pc, base, semaphore  uint64
	provider, name, args string
}

// parse reads notes (gABI 5, Note Section; their content as in sys/sdt.h, of 64-bit objects).
func parse(b []byte, order binary.ByteOrder) (notes []note) {
	align := func(n uint32) uint64 { return (uint64(n) + 3) &^ 3 }
	for len(b) >= 12 && len(notes) < maxProbes {
		nameSize, descSize, kind := order.Uint32(b), order.Uint32(b[4:]), order.Uint32(b[8:])
		b = b[12:]
		if align(nameSize)+align(descSize) > uint64(len(b)) {
			return notes
		}
		owner := string(bytes.TrimRight(b[:nameSize], "\x00"))
		desc := b[align(nameSize):][:descSize]
		b = b[align(nameSize)+align(descSize):]
		if owner != noteOwner || kind != noteType || len(desc) < 24 {
			continue
		}
		text := strings.SplitN(string(desc[24:]), "\x00", 4)
		if len(text) < 3 {
			continue
		}
		notes = append(notes, note{
			pc: order.Uint64(desc), base: order.Uint64(desc[8:]), semaphore: order.Uint64(desc[16:]),
			provider: text[0], name: text[1], args: text[2],
		})
	}
	return notes
}

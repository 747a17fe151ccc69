package symbolize

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"io"
)

const (
	maxNotes    = 16       // note segments and sections looked at
	maxNoteSize = 64 << 10 // a core file's notes are larger; an object's are not
	maxBuildID  = 64
	noteBuildID = 3 // NT_GNU_BUILD_ID
	noteGoBuild = 4 // cmd/internal/buildid: ELF note "Go", type 4
)

// readBuildID returns the GNU build ID, or else 20 bytes of the SHA-256 of Go's
// own (linkers before Go 1.24 wrote no other), in lower-case hex, and whether
// there is a Go note. Segments come before sections: they survive stripping.
func (f *file) readBuildID(r io.ReaderAt, size int64) (id string, isGo bool) {
	var goID string
	looked := 0
	scan := func(off, n uint64) {
		if looked++; looked > maxNotes || n > maxNoteSize {
			return
		}
		gnu, golang := parseNotes(table(r, size, off, 1, int(n)))
		if id == "" {
			id = gnu
		}
		if goID == "" {
			goID = golang
		}
	}
	for _, s := range f.segments {
		if s.typ == elf.PT_NOTE {
			scan(s.Offset, s.Filesz)
		}
	}
	for _, s := range f.sections {
		if s.typ == elf.SHT_NOTE && (id == "" || goID == "") {
			scan(s.off, s.size)
		}
	}
	if id == "" && goID != "" {
		// Go's own ID is a text of 83 characters; its hash has the form of the other.
		sum := sha256.Sum256([]byte(goID))
		id = hex.EncodeToString(sum[:20])
	}
	return id, goID != ""
}

// parseNotes walks ELF notes (gABI chapter 5, 4-byte alignment).
func parseNotes(b []byte) (gnuID, goID string) {
	le := binary.LittleEndian
	for len(b) >= 12 {
		nameSize, descSize, typ := uint64(le.Uint32(b)), uint64(le.Uint32(b[4:])), le.Uint32(b[8:])
		b = b[12:]
		nameEnd := (nameSize + 3) &^ 3
		if nameEnd > uint64(len(b)) || descSize > uint64(len(b))-nameEnd {
			return gnuID, goID
		}
		name := bytes.TrimRight(b[:nameSize], "\x00")
		desc := b[nameEnd : nameEnd+descSize]
		switch {
		case string(name) == "GNU" && typ == noteBuildID && gnuID == "" && len(desc) > 0 && len(desc) <= maxBuildID:
			gnuID = hex.EncodeToString(desc)
		case string(name) == "Go" && typ == noteGoBuild && goID == "" && len(desc) > 0:
			goID = string(desc)
		}
		b = b[min(uint64(len(b)), nameEnd+(descSize+3)&^3):]
	}
	return gnuID, goID
}

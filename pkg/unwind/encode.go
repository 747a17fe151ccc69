package unwind

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
)

// The encoded form of a table: this line, a header, the rules as Rule.Encode lays them out, the rows as 4 bytes of PC and
// 2 of rule, and a CRC-32C of all before it. Little endian. A change of rules or of what Compile makes of a file needs
// another number in the line.
const encodedMagic = "ebpfprof unwind 3\n"

type encodedHeader struct {
	Arch  uint8
	_     [3]uint8
	Rules uint32
	Rows  uint32
	Base  uint64
}

const encodedRow = 6

// ErrEncoding means that bytes are no encoded table, or a damaged one.
var ErrEncoding = errors.New("no encoded unwind table")

// Encode writes t so that Decode gets it back, without Stats.
func (t *Table) Encode(w io.Writer) error {
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	out := bufio.NewWriterSize(io.MultiWriter(w, sum), 64<<10)
	out.WriteString(encodedMagic)
	// Errors of a bufio.Writer stay until Flush.
	_ = binary.Write(out, binary.LittleEndian, encodedHeader{
		Arch: uint8(t.Arch), Rules: uint32(len(t.Rules)), Rows: uint32(t.Len()), Base: t.Base,
	})
	for _, r := range t.Rules {
		b := r.Encode()
		out.Write(b[:])
	}
	var row [encodedRow]byte
	for i := range t.Len() {
		r := t.Row(i)
		binary.LittleEndian.PutUint32(row[:], r.PC)
		binary.LittleEndian.PutUint16(row[4:], r.Rule)
		out.Write(row[:])
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write unwind table: %w", err)
	}
	if err := binary.Write(w, binary.LittleEndian, sum.Sum32()); err != nil {
		return fmt.Errorf("write unwind table: %w", err)
	}
	return nil
}

// Decode reads what Encode wrote. The error wraps ErrEncoding when it is something else, cut or damaged. Memory is
// bounded by what r has.
func Decode(r io.Reader) (*Table, error) {
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	in := bufio.NewReaderSize(r, 64<<10)
	body := io.TeeReader(in, sum)
	magic := make([]byte, len(encodedMagic))
	var h encodedHeader
	if _, err := io.ReadFull(body, magic); err != nil || string(magic) != encodedMagic {
		return nil, fmt.Errorf("read unwind table: %w", ErrEncoding)
	}
	if err := binary.Read(body, binary.LittleEndian, &h); err != nil {
		return nil, fmt.Errorf("read unwind table: %w: %w", ErrEncoding, err)
	}
	t := &Table{Arch: Arch(h.Arch), Base: h.Base, rows: &rows{}}
	if h.Rules == 0 || h.Rules > limitRules || h.Rows > defaultMaxRows || t.Arch != AMD64 && t.Arch != ARM64 {
		return nil, fmt.Errorf("read unwind table: %w: %d rules, %d rows", ErrEncoding, h.Rules, h.Rows)
	}
	var rule [8]byte
	for range h.Rules {
		if _, err := io.ReadFull(body, rule[:]); err != nil {
			return nil, fmt.Errorf("read unwind table: %w: %w", ErrEncoding, err)
		}
		t.Rules = append(t.Rules, DecodeRule(rule))
	}
	if err := t.decodeRows(body, h.Rows); err != nil {
		return nil, err
	}
	var want uint32
	if err := binary.Read(in, binary.LittleEndian, &want); err != nil || want != sum.Sum32() {
		return nil, fmt.Errorf("read unwind table: %w: checksum", ErrEncoding)
	}
	t.rows.trim()
	return t, nil
}

func (t *Table) decodeRows(r io.Reader, count uint32) error {
	buf := make([]byte, 1024*encodedRow)
	last := int64(-1)
	for left := int(count); left > 0; {
		part := buf[:min(left*encodedRow, len(buf))]
		if _, err := io.ReadFull(r, part); err != nil {
			return fmt.Errorf("read unwind table: %w: %w", ErrEncoding, err)
		}
		left -= len(part) / encodedRow
		for ; len(part) > 0; part = part[encodedRow:] {
			row := Row{binary.LittleEndian.Uint32(part), binary.LittleEndian.Uint16(part[4:])}
			if int64(row.PC) <= last || int(row.Rule) >= len(t.Rules) || row.PC == math.MaxUint32 {
				return fmt.Errorf("read unwind table: %w: row at %#x", ErrEncoding, row.PC)
			}
			last = int64(row.PC)
			t.rows.append(row)
		}
	}
	return nil
}

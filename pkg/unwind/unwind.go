// Package unwind turns what an ELF file says about its stack frames into a compact
// table, and specifies how one frame is taken with it.
//
// A Table maps each address of a file to one of few distinct rules. Rules come from
// .eh_frame and .debug_frame (DWARF 5 section 6.4, System V ABI AMD64 section 3.7,
// LSB 5.0 core section 10.6) and from the stack sizes in Go's .gopclntab. Step and
// Rule.Encode are the contract with the walker in the kernel.
//
// Files are read with pread only and believed in nothing: sizes, counts, orders and
// references are bounded or checked.
package unwind

import (
	"fmt"
	"io"
	"math"
)

// Options bounds the work of Compile. The zero value is right for the largest
// programs.
type Options struct {
	// MaxRows is the number of rows after which a table ends; 0 means 16 Mi, which
	// take 96 MiB. A table that was cut has Stats.Truncated.
	MaxRows int
	// MaxRules is the number of distinct rules; 0 and more than 65,535 mean 65,535.
	// What does not fit has no rule.
	MaxRules int
	// From and To restrict the table to functions that lie in part in [From, To),
	// ELF virtual addresses. To == 0 means all.
	From, To uint64
}

const (
	defaultMaxRows = 16 << 20
	limitRules     = math.MaxUint16
)

func (o Options) normalized() Options {
	if o.MaxRows <= 0 {
		o.MaxRows = defaultMaxRows
	}
	if o.MaxRules <= 0 || o.MaxRules > limitRules {
		o.MaxRules = limitRules
	}
	if o.To == 0 {
		o.From, o.To = 0, math.MaxUint64
	}
	return o
}

// Table is the unwind information of one file. It is immutable and safe for
// concurrent use.
type Table struct {
	Arch Arch
	// Base is the ELF virtual address that row addresses are relative to.
	Base uint64
	// Rules holds each distinct rule once; Rules[0] is the zero Rule, None.
	Rules []Rule
	Stats Coverage

	rows *rows
}

// Row is one step of a table: Rules[Rule] holds from Base+PC to the next row.
type Row struct {
	PC   uint32
	Rule uint16
}

// Len returns the number of rows. They take 6 bytes each.
func (t *Table) Len() int { return t.rows.len() }

// Row returns row i, 0 <= i < Len(). Rows ascend strictly by PC, neighbours differ
// in their rule, and the last one, if any, has rule 0 unless the table ends at the
// end of the address range.
func (t *Table) Row(i int) Row { return t.rows.at(i) }

// Search returns the index of the row that holds for an ELF virtual address, or -1
// if it lies before all rows.
func (t *Table) Search(vaddr uint64) int {
	if vaddr < t.Base || vaddr-t.Base > math.MaxUint32 {
		return -1
	}
	return t.rows.search(uint32(vaddr - t.Base))
}

// Find returns the rule for an ELF virtual address; the zero Rule if there is none.
// For a return address look up the byte before it.
func (t *Table) Find(vaddr uint64) Rule {
	i := t.Search(vaddr)
	if i < 0 {
		return Rule{}
	}
	return t.Rules[t.rows.at(i).Rule]
}

// Compile reads the unwind information of the ELF file r of size bytes: Go's
// .gopclntab, .eh_frame, .debug_frame, and what is known of linker-made code, in
// this order of trust for each address. A file without any gives an empty table.
// An error means that r is no 64-bit little-endian ELF file of a known machine or
// that its headers cannot be read.
//
// Memory is 6 bytes for each row, about 4 MiB of buffers, and, only where there is no
// usable .eh_frame_hdr, 16 bytes for each FDE. Where a second source adds to the first,
// rows are copied chunk by chunk and the old ones released.
func Compile(r io.ReaderAt, size int64, o Options) (*Table, error) {
	f, err := readImage(r, size)
	if err != nil {
		return nil, fmt.Errorf("read ELF headers: %w", err)
	}
	o = o.normalized()
	t := &Table{Arch: f.arch, Base: f.base()}
	in := newInterner(o.MaxRules)
	sources := []func(*image, *builder){goRows, ehFrameRows, debugFrameRows, pltRows, entryRows, v8Rows}
	for i, compile := range sources {
		b := newBuilder(f, in, t.rows, o)
		compile(f, b)
		b.finish()
		t.Stats.add(Source(i), b)
		t.rows = merge(t.rows, b.rows, o.MaxRows)
	}
	t.Rules = in.rules
	t.Stats.measure(f, t)
	t.rows.trim()
	return t, nil
}

package symbolize

import (
	"bytes"
	"io"
)

const (
	pageSize = 4 << 10
	pageSets = 16
	pageWays = 4 // 256 KiB: a lookup in a large .gopclntab touches about 20 pages
)

// pages is a small set-associative cache over a file, read with pread. The zero
// value of everything but r and size is an empty cache. Not safe for concurrent
// use.
type pages struct {
	r    io.ReaderAt
	size int64

	slots [pageSets][pageWays]page
	clock uint64
	held  int64
	buf   []byte // for reads that cross pages
}

type page struct {
	data []byte // nil: never filled
	off  int64
	used uint64
}

// bytes returns n bytes at off, valid until the next call, or nil if they are not
// all in the file.
func (p *pages) bytes(off int64, n int) []byte {
	if off < 0 || n < 0 || off > p.size-int64(n) {
		return nil
	}
	in := int(off % pageSize)
	if in+n <= pageSize {
		d := p.page(off - int64(in))
		if in+n > len(d) {
			return nil
		}
		return d[in : in+n]
	}
	if cap(p.buf) < n {
		p.buf = make([]byte, n)
	}
	buf := p.buf[:n]
	for done := 0; done < n; {
		at := off + int64(done)
		in := int(at % pageSize)
		d := p.page(at - int64(in))
		if in >= len(d) {
			return nil
		}
		done += copy(buf[done:], d[in:])
	}
	return buf
}

// page returns the page at off, a multiple of pageSize; short at the end of the
// file, nil if it cannot be read.
func (p *pages) page(off int64) []byte {
	p.clock++
	set := &p.slots[(off/pageSize)%pageSets]
	victim := &set[0]
	for i := range set {
		s := &set[i]
		if s.data != nil && s.off == off {
			s.used = p.clock
			return s.data
		}
		if s.used < victim.used {
			victim = s
		}
	}
	if victim.data == nil {
		victim.data = make([]byte, 0, pageSize)
		p.held += pageSize
	}
	n, err := p.r.ReadAt(victim.data[:pageSize], off)
	if n == 0 && err != nil {
		victim.data, victim.off, victim.used = victim.data[:0], -1, 0
		return nil
	}
	victim.data, victim.off, victim.used = victim.data[:n], off, p.clock
	return victim.data
}

// cstring returns the NUL-terminated string at off, without reading at or beyond
// end, cut at maxLen bytes.
func (p *pages) cstring(off, end int64, maxLen int) string {
	end = min(end, p.size)
	if off < 0 || off >= end {
		return ""
	}
	end = min(end, off+int64(maxLen))
	var long []byte
	for off < end {
		in := off % pageSize
		d := p.page(off - in)
		if in >= int64(len(d)) {
			break
		}
		d = d[in:min(int64(len(d)), in+end-off)]
		if i := bytes.IndexByte(d, 0); i >= 0 {
			return string(append(long, d[:i]...))
		}
		long = append(long, d...)
		off += int64(len(d))
	}
	return string(long)
}

func (p *pages) memory() int64 { return p.held + int64(cap(p.buf)) }

// drop forgets everything; the pages come back on demand.
func (p *pages) drop() {
	*p = pages{r: p.r, size: p.size}
}

package unwind

import (
	"bufio"
	"debug/elf"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// largeELF writes a file with n functions of 64 bytes and about 2.5 rows each,
// with .eh_frame_hdr, and returns its size.
func largeELF(t *testing.T, path string, n int) int64 {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const head = 0x1000
	code := []byte{0x41, 0x0e, 16, 0x86, 2, 0x48, 0x0e, 48, 0x60, 0x0e, 8}
	fdeSize := len(fde(0, 0, code)) + 8
	first := len(cfi(0x03, nil))
	frameOff, hdrOff := int64(head), int64(head+first+n*fdeSize)
	text := uint64(0x1000_0000)
	w := bufio.NewWriterSize(f, 1<<20)
	phdrs := []elf.Prog64{
		{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: text, Memsz: uint64(n) * 64},
		{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R), Off: head, Vaddr: head, Filesz: uint64(first + n*fdeSize + 12 + 8*n), Memsz: uint64(first + n*fdeSize + 12 + 8*n)},
		{Type: uint32(elf.PT_GNU_EH_FRAME), Off: uint64(hdrOff), Vaddr: uint64(hdrOff), Filesz: uint64(12 + 8*n), Memsz: uint64(12 + 8*n)},
	}
	h := make([]byte, head)
	copy(h, elfWith(elf.EM_X86_64, nil)[:64])
	le.PutUint16(h[56:], uint16(len(phdrs)))
	le.PutUint16(h[60:], 0)
	p := h[64:]
	for _, x := range phdrs {
		le.PutUint32(p, x.Type)
		le.PutUint32(p[4:], x.Flags)
		le.PutUint64(p[8:], x.Off)
		le.PutUint64(p[16:], x.Vaddr)
		le.PutUint64(p[32:], x.Filesz)
		le.PutUint64(p[40:], x.Memsz)
		p = p[56:]
	}
	w.Write(h)
	w.Write(cfi(0x03, nil))
	for i := range n {
		body := fde(uint32(text)+uint32(i)*64, 64-uint32(i%2)*20, code) // gaps after every other one
		entry := le.AppendUint32(nil, uint32(4+len(body)))
		entry = le.AppendUint32(entry, uint32(first+i*fdeSize+4))
		w.Write(append(entry, body...))
	}
	hdr := []byte{1, 0x1b, 0x03, 0x3b}
	hdr = le.AppendUint32(hdr, uint32(int32(frameOff-hdrOff-4)))
	w.Write(le.AppendUint32(hdr, uint32(n)))
	for i := range n {
		row := le.AppendUint32(nil, uint32(int64(text)+int64(i)*64-hdrOff))
		w.Write(le.AppendUint32(row, uint32(int32(frameOff+int64(first+i*fdeSize)-hdrOff))))
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	size, _ := f.Seek(0, io.SeekCurrent)
	return size
}

// TestLarge: two million functions must compile within little more memory than
// their rows.
func TestLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 90 MB")
	}
	const n = 2_000_000
	path := filepath.Join(t.TempDir(), "large")
	size := largeELF(t, path, n)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	peak, done := uint64(0), make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			runtime.ReadMemStats(&now)
			peak = max(peak, now.HeapAlloc)
			select {
			case <-done:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	begin := time.Now()
	tab, err := Compile(f, size, Options{})
	took := time.Since(begin)
	close(done)
	<-stopped
	if err != nil {
		t.Fatal(err)
	}
	used := int64(peak) - int64(before.HeapAlloc)
	t.Logf("%d functions, %d rows in %v, heap peak %d MiB", n, tab.Len(), took, used>>20)
	if tab.Len() < 2*n || tab.Stats.Sources[SourceEHFrame].Functions != n {
		t.Errorf("%d rows, %+v", tab.Len(), tab.Stats)
	}
	if limit := int64(tab.Len())*6 + 12<<20; used > limit {
		t.Errorf("heap grew by %d bytes, more than %d", used, limit)
	}
}

// TestVDSO compiles the image that the kernel maps into every process.
func TestVDSO(t *testing.T) {
	s := &stacks{t: t, tables: map[string]*object{}, pid: os.Getpid()}
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	lo, hi := vdsoRange(f)
	if lo == 0 {
		t.Skip("no vDSO")
	}
	_, tab := s.open("[vdso]", lo, hi)
	if tab == nil || tab.Stats.CoveredBytes*100 < tab.Stats.TextBytes*80 { // alternatives for other CPUs count as text
		t.Fatalf("%+v", tab)
	}
	checkTable(t, tab)
}

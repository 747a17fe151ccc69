package unwind

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"testing"
	"time"
)

// small are limits under which a fuzz target stays fast.
var small = Options{MaxRows: 1 << 16, MaxRules: 1 << 10}

// checkTable fails if a table breaks a promise.
func checkTable(t *testing.T, tab *Table) {
	t.Helper()
	if tab.Rules[0] != (Rule{}) {
		t.Fatalf("rule 0 is %v", tab.Rules[0])
	}
	for i := range tab.Len() {
		row := tab.Row(i)
		if int(row.Rule) >= len(tab.Rules) {
			t.Fatalf("row %d has rule %d of %d", i, row.Rule, len(tab.Rules))
		}
		if i > 0 && (tab.Row(i-1).PC >= row.PC || tab.Row(i-1).Rule == row.Rule) {
			t.Fatalf("rows %v %v", tab.Row(i-1), row)
		}
		if tab.Search(tab.Base+uint64(row.PC)) != i {
			t.Fatalf("row %d is not found by its address", i)
		}
	}
	if tab.Stats.CoveredBytes > tab.Stats.TextBytes {
		t.Fatalf("%d bytes of %d covered", tab.Stats.CoveredBytes, tab.Stats.TextBytes)
	}
	for _, r := range tab.Rules {
		if DecodeRule(r.Encode()) != r {
			t.Fatalf("%v does not survive encoding", r)
		}
		regs := Regs{PC: 1, Known: 0xffffffff, Exact: true}
		r.Step(tab.Arch, regs, func(a uint64) (uint64, bool) { return a, a%3 > 0 })
		_ = r.String()
	}
}

// elfWith wraps sections into an ELF file with one executable segment of text at
// 0x1000 and all sections behind it at their offsets.
func elfWith(machine elf.Machine, sections map[string][]byte) []byte {
	const phdrs = 3
	body := bytes.NewBuffer(make([]byte, 0x2000))
	type placed struct {
		name   string
		off, n int
	}
	var at []placed
	for _, name := range []string{".eh_frame", ".eh_frame_hdr", ".debug_frame", ".gopclntab", ".plt"} {
		if b, ok := sections[name]; ok {
			for body.Len()%16 != 0 {
				body.WriteByte(0)
			}
			at = append(at, placed{name, body.Len(), len(b)})
			body.Write(b)
		}
	}
	names := []byte{0}
	end := body.Len()
	var heads []elf.Section64
	heads = append(heads, elf.Section64{}, elf.Section64{
		Name: 1, Type: uint32(elf.SHT_PROGBITS), Flags: uint64(elf.SHF_ALLOC | elf.SHF_EXECINSTR), Addr: 0x1000, Off: 0x1000, Size: 0x1000,
	})
	names = append(names, ".text\x00"...)
	for _, p := range at {
		heads = append(heads, elf.Section64{
			Name: uint32(len(names)), Type: uint32(elf.SHT_PROGBITS), Flags: uint64(elf.SHF_ALLOC), Addr: uint64(p.off), Off: uint64(p.off), Size: uint64(p.n),
		})
		names = append(append(names, p.name...), 0)
	}
	heads = append(heads, elf.Section64{Name: 0, Type: uint32(elf.SHT_STRTAB), Off: uint64(end), Size: uint64(len(names))})
	body.Write(names)
	shoff := body.Len()
	binary.Write(body, le, heads)
	out := body.Bytes()
	var h bytes.Buffer
	hdr := elf.Header64{
		Type: uint16(elf.ET_DYN), Machine: uint16(machine), Version: 1, Entry: 0x1800, Phoff: 64, Shoff: uint64(shoff), Ehsize: 64,
		Phentsize: 56, Phnum: phdrs, Shentsize: 64, Shnum: uint16(len(heads)), Shstrndx: uint16(len(heads) - 1),
	}
	copy(hdr.Ident[:], "\x7fELF\x02\x01\x01")
	binary.Write(&h, le, hdr)
	frameHdr := elf.Prog64{Type: uint32(elf.PT_NULL)}
	for _, p := range at {
		if p.name == ".eh_frame_hdr" {
			frameHdr = elf.Prog64{Type: uint32(elf.PT_GNU_EH_FRAME), Off: uint64(p.off), Vaddr: uint64(p.off), Filesz: uint64(p.n), Memsz: uint64(p.n)}
		}
	}
	binary.Write(&h, le, []elf.Prog64{
		{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Off: 0x1000, Vaddr: 0x1000, Filesz: 0x1000, Memsz: 0x1000},
		{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R), Off: 0x2000, Vaddr: 0x2000, Filesz: uint64(end - 0x2000), Memsz: uint64(end - 0x2000)},
		frameHdr,
	})
	copy(out, h.Bytes())
	return out
}

func compileBytes(t *testing.T, b []byte, o Options) *Table {
	t.Helper()
	tab, err := Compile(bytes.NewReader(b), int64(len(b)), o)
	if err != nil {
		t.Fatal(err)
	}
	checkTable(t, tab)
	return tab
}

// sectionOf returns the first n bytes of a section of a file of this machine.
func sectionOf(path, name string, n int) []byte {
	f, err := elf.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	s := f.Section(name)
	if s == nil {
		return nil
	}
	b, err := s.Data()
	if err != nil {
		return nil
	}
	return b[:min(n, len(b))]
}

func FuzzCompile(f *testing.F) {
	// Small seeds: the fuzzer is slow with whole files, which TestTruncated uses.
	for machine, path := range map[elf.Machine]string{elf.EM_X86_64: "/lib64/ld-linux-x86-64.so.2", elf.EM_AARCH64: "/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1"} {
		if b := sectionOf(path, ".eh_frame", 512); b != nil {
			f.Add(elfWith(machine, map[string][]byte{".eh_frame": b, ".eh_frame_hdr": sectionOf(path, ".eh_frame_hdr", 64), ".plt": make([]byte, 64)}))
		}
	}
	f.Add(elfWith(elf.EM_X86_64, map[string][]byte{".gopclntab": goTableBytes(), ".debug_frame": cfi(0, nil)}))
	f.Add(elfWith(elf.EM_X86_64, map[string][]byte{".eh_frame": cfi(0x1b, nil, fde(0x1000, 0x100, []byte{0x44, 0x0e, 0x10}))}))
	f.Fuzz(func(t *testing.T, b []byte) {
		tab, err := Compile(bytes.NewReader(b), int64(len(b)), small)
		if err == nil {
			checkTable(t, tab)
		}
	})
}

func FuzzCFI(f *testing.F) {
	for _, path := range []string{"/lib64/ld-linux-x86-64.so.2", "/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1"} {
		if b := sectionOf(path, ".eh_frame", 4096); b != nil {
			f.Add(b, sectionOf(path, ".eh_frame_hdr", 512), false)
			f.Add(b, []byte{}, true)
		}
	}
	f.Add(cfi(0x03, nil, fde(0x1000, 0x100, []byte{0x44, 0x0e, 0x10})), []byte{}, true)
	f.Fuzz(func(t *testing.T, frame, hdr []byte, debug bool) {
		machine := elf.EM_X86_64
		if len(frame)%2 == 1 {
			machine = elf.EM_AARCH64
		}
		sections := map[string][]byte{".eh_frame": frame}
		if debug {
			sections = map[string][]byte{".debug_frame": frame}
		} else if len(hdr) > 0 {
			sections[".eh_frame_hdr"] = hdr
		}
		compileBytes(t, elfWith(machine, sections), small)
	})
}

func FuzzGoTable(f *testing.F) {
	if b := sectionOf("/usr/local/go/bin/gofmt", ".gopclntab", 2048); b != nil {
		f.Add(b)
	}
	f.Add(goTableBytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, m := range []elf.Machine{elf.EM_X86_64, elf.EM_AARCH64} {
			compileBytes(t, elfWith(m, map[string][]byte{".gopclntab": b}), small)
		}
	})
}

// TestRepeatedEntries: a table that names one large FDE again and again must not
// cost more than a multiple of the file's size.
func TestRepeatedEntries(t *testing.T) {
	code := bytes.Repeat([]byte{0x41, 0x0e, 0x10, 0x41, 0x0e, 0x18}, 100_000)
	frame := cfi(0x03, nil, fde(0x1000, 0xf00, code))
	b := elfWith(elf.EM_X86_64, map[string][]byte{".eh_frame": frame, ".eh_frame_hdr": make([]byte, 12+8*200_000)})
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	hdr := f.Section(".eh_frame_hdr")
	h := b[hdr.Offset:]
	copy(h, []byte{1, 0x1b, 0x03, 0x3b})
	le.PutUint32(h[4:], uint32(int64(f.Section(".eh_frame").Addr)-int64(hdr.Addr)-4))
	le.PutUint32(h[8:], 200_000)
	entry := f.Section(".eh_frame").Addr + uint64(len(cfi(0x03, nil)))
	for i := range 200_000 {
		le.PutUint32(h[12+8*i:], uint32(int32(0x1000+i/100)-int32(hdr.Addr)))
		le.PutUint32(h[16+8*i:], uint32(int64(entry)-int64(hdr.Addr)))
	}
	begin := time.Now()
	tab := compileBytes(t, b, Options{})
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
	if tab.Len() == 0 {
		t.Error("the first entry is not there")
	}
}

// TestTruncated cuts a real file at many places.
func TestTruncated(t *testing.T) {
	b, err := os.ReadFile("/lib64/ld-linux-x86-64.so.2")
	if err != nil {
		t.Skip(err)
	}
	for n := 0; n < len(b); n += 997 {
		if tab, err := Compile(bytes.NewReader(b[:n]), int64(n), Options{}); err == nil {
			checkTable(t, tab)
		}
		// A file that shrank after it was measured.
		if tab, err := Compile(bytes.NewReader(b[:n]), int64(len(b)), Options{}); err == nil {
			checkTable(t, tab)
		}
	}
}

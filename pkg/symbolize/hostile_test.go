package symbolize

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"
	"time"
)

// symbolImage builds an ELF file with one executable segment and a symbol table
// of n entries that fill writes.
func symbolImage(n int, fill func(i int, b []byte)) []byte {
	const textAddr = 0x401000
	le := binary.LittleEndian
	strtab := []byte("\x00alpha\x00beta\x00_gamma\x00$x\x00name@@V1\x00")
	symOff := 0x2000
	strOff := symOff + 24*n
	shOff := (strOff + len(strtab) + 7) &^ 7
	image := make([]byte, shOff+4*64)
	writeELF(image, 8, []segment{{typ: elf.PT_LOAD, flags: elf.PF_R | elf.PF_X, Segment: Segment{textAddr, 0x1000, 0x1000, 0x1000}}})
	le.PutUint64(image[40:], uint64(shOff))
	le.PutUint16(image[58:], 64)
	le.PutUint16(image[60:], 4)
	for i := range n {
		fill(i, image[symOff+24*i:][:24])
	}
	copy(image[strOff:], strtab)
	sections := []section{
		{},
		{typ: elf.SHT_PROGBITS, flags: elf.SHF_ALLOC | elf.SHF_EXECINSTR, addr: textAddr, off: 0x1000, size: 0x1000},
		{typ: elf.SHT_SYMTAB, off: uint64(symOff), size: uint64(24 * n), link: 3, entsize: 24},
		{typ: elf.SHT_STRTAB, off: uint64(strOff), size: uint64(len(strtab))},
	}
	for i, s := range sections {
		b := image[shOff+64*i:]
		le.PutUint32(b[4:], uint32(s.typ))
		le.PutUint64(b[8:], uint64(s.flags))
		le.PutUint64(b[16:], s.addr)
		le.PutUint64(b[24:], s.off)
		le.PutUint64(b[32:], s.size)
		le.PutUint32(b[40:], s.link)
		le.PutUint64(b[56:], s.entsize)
	}
	return image
}

func putSymbol(b []byte, name uint32, typ elf.SymType, bind elf.SymBind, value, size uint64) {
	le := binary.LittleEndian
	le.PutUint32(b, name)
	b[4] = elf.ST_INFO(bind, typ)
	le.PutUint16(b[6:], 1)
	le.PutUint64(b[8:], value)
	le.PutUint64(b[16:], size)
}

func TestNestedSymbols(t *testing.T) {
	type sym struct {
		name        uint32
		typ         elf.SymType
		bind        elf.SymBind
		value, size uint64
	}
	syms := []sym{
		{1, elf.STT_FUNC, elf.STB_GLOBAL, 0x401000, 0x100},  // alpha
		{7, elf.STT_FUNC, elf.STB_LOCAL, 0x401040, 0x10},    // beta inside alpha
		{12, elf.STT_FUNC, elf.STB_GLOBAL, 0x401040, 0x10},  // _gamma, global, the same
		{19, elf.STT_NOTYPE, elf.STB_LOCAL, 0x401200, 0},    // $x
		{22, elf.STT_NOTYPE, elf.STB_GLOBAL, 0x401f00, 0},   // name, to the end of the section
		{7, elf.STT_OBJECT, elf.STB_GLOBAL, 0x401300, 0x10}, // data
	}
	o := openBytes(t, symbolImage(len(syms), func(i int, b []byte) {
		s := syms[i]
		putSymbol(b, s.name, s.typ, s.bind, s.value, s.size)
	}))
	for addr, want := range map[uint64]string{
		0x401000: "alpha", 0x40103f: "alpha", 0x401040: "_gamma", 0x40104f: "_gamma", 0x401050: "alpha", 0x4010ff: "alpha",
		0x401100: "", 0x401200: "", 0x401300: "", 0x401f00: "name", 0x401fff: "name", 0x402000: "",
	} {
		if got := name(o.Frames(addr)); got != want {
			t.Errorf("%#x: got %q, want %q", addr, got, want)
		}
	}
}

// TestHostileTables builds files that make careless readers slow or large.
func TestHostileTables(t *testing.T) {
	const n = 200_000
	rng := rand.New(rand.NewPCG(1, 2))
	for what, fill := range map[string]func(i int, b []byte){
		"all at one address": func(i int, b []byte) { putSymbol(b, uint32(i%20)+1, elf.STT_FUNC, elf.STB_GLOBAL, 0x401000, 16) },
		"all nested": func(i int, b []byte) {
			putSymbol(b, 1, elf.STT_FUNC, elf.STB_GLOBAL, 0x401000+uint64(i%0x1000), 0x1000)
		},
		"sizes that wrap": func(i int, b []byte) {
			putSymbol(b, 1, elf.STT_FUNC, elf.STB_GLOBAL, 0x401000+uint64(i%0x1000), ^uint64(0))
		},
		"no sizes":         func(i int, b []byte) { putSymbol(b, 1, elf.STT_NOTYPE, elf.STB_LOCAL, 0x401000+uint64(i%0x1000), 0) },
		"names past table": func(i int, b []byte) { putSymbol(b, ^uint32(0), elf.STT_FUNC, elf.STB_GLOBAL, 0x401000, 1) },
		"noise": func(_ int, b []byte) {
			for i := range b {
				b[i] = byte(rng.Uint32())
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			start := time.Now()
			o := openBytes(t, symbolImage(n, fill))
			for a := uint64(0x400f00); a < 0x402100; a++ {
				o.Frames(a)
			}
			if d := time.Since(start); d > 20*time.Second {
				t.Errorf("took %v", d)
			}
			if m := o.MemoryBytes(); m > 16<<20 {
				t.Errorf("holds %d bytes", m)
			}
		})
	}
}

// TestClaimedSizes changes every field of the headers to huge numbers.
func TestClaimedSizes(t *testing.T) {
	seeds := [][]byte{
		goImage(go116, 8, true), goImage(go120, 8, true), goImage(go120, 4, true),
		symbolImage(4, func(i int, b []byte) { putSymbol(b, 1, elf.STT_FUNC, elf.STB_GLOBAL, 0x401000+16*uint64(i), 16) }),
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, seed := range seeds {
		for at := 0; at+8 <= len(seed); at += 4 {
			if at > 512 && at < 0x2000 || at > 0x2400 && at < 0x3000 || at > 0x3200 && at < len(seed)-512 {
				continue
			}
			for _, v := range []uint64{0, 1, 0x7fffffff, 0xffffffff, 0x7fffffffffffffff, ^uint64(0), 1 << 40} {
				b := bytes.Clone(seed)
				binary.LittleEndian.PutUint64(b[at:], v)
				explore(b)
			}
		}
	}
	runtime.ReadMemStats(&after)
	if held := int64(after.HeapAlloc) - int64(before.HeapAlloc); held > 256<<20 {
		t.Errorf("%d bytes still held", held)
	}
}

// explore does all that can be done with an object.
func explore(b []byte) {
	o, err := NewObject(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return
	}
	o.SetDebug(DebugDirs{Roots: []string{}}, "")
	for _, s := range o.Executable() {
		for _, a := range []uint64{s.Vaddr, s.Vaddr + 1, s.Vaddr + 0x15, s.Vaddr + 0x41, s.Vaddr + 0x58, s.Vaddr + s.Memsz/2, s.Vaddr + s.Memsz - 1, s.Vaddr + s.Memsz} {
			o.Frames(a)
			o.Mapping(a, "x")
		}
		o.Address(s.Offset)
	}
	o.Frames(0)
	o.Frames(^uint64(0))
	o.BuildID()
	o.MemoryBytes()
	o.Release()
}

func TestTruncated(t *testing.T) {
	path := compile(t, "native.c")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(b); n += 1 + n/64 {
		explore(b[:n])
		// The size promises more than there is: the file shrank after it was measured.
		if o, err := NewObject(bytes.NewReader(b[:n]), int64(len(b))); err == nil {
			o.SetDebug(DebugDirs{Roots: []string{}}, "")
			for _, s := range o.Executable() {
				o.Frames(s.Vaddr)
			}
		}
	}
	if _, err := NewObject(bytes.NewReader(nil), 0); err == nil {
		t.Error("an empty file is an object")
	}
	if _, err := NewObject(failingReader{}, 1<<20); err == nil {
		t.Error("an unreadable file is an object")
	}
}

type failingReader struct{}

func (failingReader) ReadAt([]byte, int64) (int, error) { return 0, io.ErrUnexpectedEOF }

func FuzzObject(f *testing.F) {
	for _, ptr := range []int{4, 8} {
		for _, v := range []goVersion{go116, go118, go120} {
			f.Add(goImage(v, ptr, true))
		}
	}
	f.Add(symbolImage(4, func(i int, b []byte) { putSymbol(b, 1, elf.STT_FUNC, elf.STB_GLOBAL, 0x401000+16*uint64(i), 16) }))
	f.Fuzz(func(_ *testing.T, b []byte) { explore(b) })
}

// FuzzGoTable changes only the function table of a good file.
func FuzzGoTable(f *testing.F) {
	for _, v := range []goVersion{go116, go118, go120} {
		f.Add(goImage(v, 8, true)[0x2000:0x2300], uint32(0x15))
	}
	base := goImage(go120, 8, true)
	f.Fuzz(func(t *testing.T, tab []byte, pc uint32) {
		b := bytes.Clone(base)
		copy(b[0x2000:0x3000], tab)
		o := openBytes(t, b)
		for _, fr := range [][]uint64{{0x401000 + uint64(pc%0x1000)}, {0x401015}} {
			if got := o.Frames(fr[0]); len(got) > maxInlined+1 {
				t.Errorf("%d frames", len(got))
			}
		}
	})
}

func FuzzKernel(f *testing.F) {
	f.Add([]byte(kallsyms))
	f.Add([]byte("0000000000000000 T x\n"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		k, err := ReadKernel(bytes.NewReader(b))
		if err != nil {
			return
		}
		for _, a := range k.addrs {
			k.Frames(a)
			k.Module(a + 1)
		}
	})
}

func FuzzNotes(f *testing.F) {
	f.Add([]byte("\x04\x00\x00\x00\x14\x00\x00\x00\x03\x00\x00\x00GNU\x0001234567890123456789"))
	f.Fuzz(func(_ *testing.T, b []byte) { parseNotes(b) })
}

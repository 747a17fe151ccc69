package symbolize

import (
	"debug/elf"
	"encoding/binary"
	"reflect"
	"testing"

	"github.com/ebpfprof/ebpfprof/pkg/profile"
)

// goImage builds an ELF file without section headers around a function table in
// one of the layouts that Go had: main.outer at 0x401000, with main.inner inlined
// at 0x10 to 0x20, then main.last from 0x40 to 0x60 with 8 bytes of padding.
func goImage(v goVersion, ptr int, relocated bool) []byte {
	const textAddr, tabAddr, dataAddr, treeAddr = 0x401000, 0x402000, 0x403000, 0x403800
	le := binary.LittleEndian
	word := func(b []byte, v uint64) []byte {
		if ptr == 4 {
			return le.AppendUint32(b, uint32(v))
		}
		return le.AppendUint64(b, v)
	}

	names := []byte("\x00main.outer\x00main.inner[go.shape.int]\x00main.last\x00\x00\x00")
	const outerName, innerName, lastName = 1, 12, 37
	units := le.AppendUint32(le.AppendUint32(nil, 0), 5)
	files := []byte("a.go\x00b.go\x00\x00\x00")
	pcs := []byte{0}
	table := func(pairs ...int32) uint32 { // value, end, value, end, ...
		at := uint32(len(pcs))
		val, pc := int32(-1), int32(0)
		for i := 0; i < len(pairs); i += 2 {
			d := pairs[i] - val
			pcs = binary.AppendUvarint(pcs, uint64(uint32(d<<1)^uint32(d>>31)))
			pcs = binary.AppendUvarint(pcs, uint64(pairs[i+1]-pc))
			val, pc = pairs[i], pairs[i+1]
		}
		pcs = append(pcs, 0)
		return at
	}
	outerFiles, outerLines := table(0, 0x10, 1, 0x20, 0, 0x40), table(10, 0x10, 21, 0x20, 12, 0x40)
	outerInline := table(-1, 0x10, 0, 0x20, -1, 0x40)
	lastFiles, lastLines := table(1, 0x18), table(300, 0x18)
	for len(pcs)%8 != 0 {
		pcs = append(pcs, 0)
	}

	words := 8
	if v == go116 {
		words = 7
	}
	head := 8 + words*ptr
	partOff := []int{head}
	for _, p := range [][]byte{names, units, files, pcs} {
		for len(p)%8 != 0 {
			p = append(p, 0)
		}
		partOff = append(partOff, partOff[len(partOff)-1]+len(p))
	}
	magic := map[goVersion]uint32{go116: 0xfffffffa, go118: 0xfffffff0, go120: 0xfffffff1}[v]
	tab := append(le.AppendUint32(nil, magic), 0, 0, 1, byte(ptr))
	tab = word(word(tab, 2), 2)
	if v != go116 {
		tab = word(tab, 0) // the start of text, as from Go 1.26 on
	}
	for _, o := range partOff {
		tab = word(tab, uint64(o))
	}
	for i, p := range [][]byte{names, units, files, pcs} {
		tab = append(tab[:partOff[i]], p...)
		tab = append(tab, make([]byte, partOff[i+1]-len(tab))...)
	}

	entry := func(b []byte, off uint64) []byte {
		if v == go116 {
			return word(b, textAddr+off)
		}
		return le.AppendUint32(b, uint32(off))
	}
	rowRest := func(b []byte, off int) []byte {
		if v == go116 {
			return word(b, uint64(off))
		}
		return le.AppendUint32(b, uint32(off))
	}
	function := func(off uint64, name, fileTab, lineTab, inl uint32, start uint32) []byte {
		b := entry(nil, off)
		b = le.AppendUint32(b, name)
		b = append(b, make([]byte, 12)...) // args, deferreturn, pcsp
		b = le.AppendUint32(le.AppendUint32(b, fileTab), lineTab)
		b = le.AppendUint32(le.AppendUint32(b, 3), 0) // npcdata, cuOffset
		if v == go120 {
			b = le.AppendUint32(b, start)
		}
		b = append(b, 0, 0, 0, 4) // funcID, flag, pad, nfuncdata
		b = le.AppendUint32(le.AppendUint32(le.AppendUint32(b, 0), 0), inl)
		return b
	}
	one := func(rowsLen int) []byte {
		b := function(0, outerName, outerFiles, outerLines, outerInline, 9)
		if v == go116 {
			for (partOff[4]+rowsLen+len(b))%ptr != 0 {
				b = append(b, 0)
			}
			return word(word(word(word(b, 0), 0), 0), treeAddr)
		}
		for range 3 {
			b = le.AppendUint32(b, noFuncdata)
		}
		return le.AppendUint32(b, 0)
	}
	rowsLen := 5 * ptr
	if v != go116 {
		rowsLen = 20
	}
	rowsLen = (rowsLen + 7) &^ 7
	first := one(rowsLen)
	for len(first)%8 != 0 {
		first = append(first, 0)
	}
	rows := rowRest(entry(nil, 0), rowsLen)
	rows = rowRest(entry(rows, 0x40), rowsLen+len(first))
	rows = entry(rows, 0x60)
	for len(rows) < rowsLen {
		rows = append(rows, 0)
	}
	tab = append(append(tab, rows...), first...)
	tab = append(tab, function(0x40, lastName, lastFiles, lastLines, 0, 299)...)
	tab = append(tab, make([]byte, 64)...)

	image := make([]byte, 0x4000)
	copy(image[0x2000:], tab)
	md := make([]uint64, 48)
	if v != go116 && relocated {
		// Positions as in runtime.moduledata of Go 1.19 and 1.20.
		md[0], md[1], md[4] = tabAddr, tabAddr+uint64(partOff[0]), tabAddr+uint64(partOff[1])
		md[22], md[23] = textAddr, textAddr+0x60
		md[map[goVersion]int{go118: 38, go120: 40}[v]] = treeAddr
	}
	data := []byte{}
	for _, w := range md {
		data = word(data, w)
	}
	copy(image[0x3040:], data)
	var tree []byte
	if v == go120 {
		tree = le.AppendUint32(le.AppendUint32(le.AppendUint32([]byte{0, 0, 0, 0}, innerName), 8), 20)
	} else {
		tree = le.AppendUint32(le.AppendUint32(make([]byte, 12), innerName), 8)
	}
	copy(image[0x3800:], tree)
	writeELF(image, ptr, []segment{
		{typ: elf.PT_LOAD, flags: elf.PF_R | elf.PF_X, Segment: Segment{textAddr, 0x1000, 0x1000, 0x1000}},
		{typ: elf.PT_LOAD, flags: elf.PF_R, Segment: Segment{tabAddr, 0x2000, 0x1000, 0x1000}},
		{typ: elf.PT_LOAD, flags: elf.PF_R | elf.PF_W, Segment: Segment{dataAddr, 0x3000, 0x1000, 0x1000}},
	})
	return image
}

// writeELF writes a file header and program headers at the start of image.
func writeELF(image []byte, ptr int, segments []segment) {
	le := binary.LittleEndian
	copy(image, elf.ELFMAG)
	image[5] = byte(elf.ELFDATA2LSB)
	if ptr == 8 {
		image[4] = byte(elf.ELFCLASS64)
		le.PutUint16(image[18:], uint16(elf.EM_X86_64))
		le.PutUint64(image[32:], 64)
		le.PutUint16(image[54:], 56)
		le.PutUint16(image[56:], uint16(len(segments)))
	} else {
		image[4] = byte(elf.ELFCLASS32)
		le.PutUint16(image[18:], uint16(elf.EM_386))
		le.PutUint32(image[28:], 64)
		le.PutUint16(image[42:], 32)
		le.PutUint16(image[44:], uint16(len(segments)))
	}
	for i, s := range segments {
		if ptr == 8 {
			b := image[64+56*i:]
			le.PutUint32(b, uint32(s.typ))
			le.PutUint32(b[4:], uint32(s.flags))
			le.PutUint64(b[8:], s.Offset)
			le.PutUint64(b[16:], s.Vaddr)
			le.PutUint64(b[32:], s.Filesz)
			le.PutUint64(b[40:], s.Memsz)
		} else {
			b := image[64+32*i:]
			le.PutUint32(b, uint32(s.typ))
			le.PutUint32(b[4:], uint32(s.Offset))
			le.PutUint32(b[8:], uint32(s.Vaddr))
			le.PutUint32(b[16:], uint32(s.Filesz))
			le.PutUint32(b[20:], uint32(s.Memsz))
			le.PutUint32(b[24:], uint32(s.flags))
		}
	}
}

func TestGoLayouts(t *testing.T) {
	for _, tt := range []struct {
		name string
		v    goVersion
		ptr  int
	}{{"1.16", go116, 8}, {"1.18", go118, 8}, {"1.20", go120, 8}, {"1.16 of 32 bits", go116, 4}, {"1.20 of 32 bits", go120, 4}} {
		t.Run(tt.name, func(t *testing.T) {
			o := openBytes(t, goImage(tt.v, tt.ptr, true))
			inner := profile.Frame{Name: "main.inner[...]", SystemName: "main.inner[go.shape.int]", File: "b.go", Line: 21, StartLine: 20}
			outer := profile.Frame{Name: "main.outer", File: "a.go", Line: 10, StartLine: 9}
			last := profile.Frame{Name: "main.last", File: "b.go", Line: 300, StartLine: 299}
			if tt.v != go120 {
				inner.StartLine, outer.StartLine, last.StartLine = 0, 0, 0
			}
			outerEnd := outer
			outerEnd.Line = 12
			for _, at := range []struct {
				addr uint64
				want []profile.Frame
			}{
				{0x400fff, nil},
				{0x401000, []profile.Frame{outer}},
				{0x40100f, []profile.Frame{outer}},
				{0x401010, []profile.Frame{inner, outer}},
				{0x40101f, []profile.Frame{inner, outer}},
				{0x401020, []profile.Frame{outerEnd}},
				{0x40103f, []profile.Frame{outerEnd}},
				{0x401040, []profile.Frame{last}},
				{0x401057, []profile.Frame{last}},
				{0x401058, nil}, // padding
				{0x401060, nil},
				{0x402000, nil},
			} {
				if got := o.Frames(at.addr); !reflect.DeepEqual(got, at.want) {
					t.Errorf("%#x: got %+v, want %+v", at.addr, got, at.want)
				}
			}
		})
	}
	t.Run("start of text unknown", func(t *testing.T) {
		o := openBytes(t, goImage(go120, 8, false))
		if got := o.Frames(0x401000); got != nil {
			t.Errorf("guessed %v", got)
		}
	})
}

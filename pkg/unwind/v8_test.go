package unwind

import (
	"bytes"
	"debug/elf"
	"testing"
)

func TestIsHandler(t *testing.T) {
	for name, want := range map[string]bool{
		"Builtins_LdaZeroHandler": true, "Builtins_CallProperty2Handler": false, "Builtins_ConstructHandler": false,
		"Builtins_Call_ReceiverIsAny": false, "SomeHandler": false, "": false,
	} {
		if got := isHandler(name); got != want {
			t.Errorf("isHandler(%q) = %t", name, got)
		}
	}
}

// A handler has the return address on top of the stack until it sets up a frame; what is called otherwise has no rule.
func TestV8Handlers(t *testing.T) {
	const addr = 0x1000
	code := bytes.Repeat([]byte{0x90}, 0x40)
	copy(code[0x10:], []byte{0x55, 0x48, 0x89, 0xe5})
	names := []byte("\x00Builtins_LdaHandler\x00Builtins_Other\x00Builtins_StarHandler\x00")
	var symbols []byte
	for _, s := range []struct {
		name       uint32
		addr, size uint64
	}{{1, addr, 0x20}, {21, addr + 0x20, 0x10}, {36, addr + 0x30, 0x10}, {1, addr + 0x38, 0x100}, {1 << 30, addr, 1}} {
		sym := make([]byte, symbolBytes)
		le.PutUint32(sym, s.name)
		sym[4] = byte(elf.STT_FUNC)
		le.PutUint64(sym[8:], s.addr)
		le.PutUint64(sym[16:], s.size)
		symbols = append(symbols, sym...)
	}
	file := append(append(bytes.Clone(code), names...), symbols...)
	f := &image{
		r: bytes.NewReader(file), size: int64(len(file)), arch: AMD64,
		loads: []segment{{typ: elf.PT_LOAD, flags: elf.PF_X, vaddr: addr, filesz: uint64(len(code)), memsz: uint64(len(code))}},
		sections: []section{
			{name: ".strtab", off: uint64(len(code)), size: uint64(len(names))},
			{name: ".symtab", off: uint64(len(code) + len(names)), size: uint64(len(symbols))},
		},
	}
	in, have := newInterner(limitRules), &rows{}
	have.append(Row{0xffff, 0})
	b := newBuilder(f, in, have, Options{}.normalized())
	v8Rows(f, b)
	b.finish()
	table := &Table{Base: addr, Rules: in.rules, rows: b.rows}
	for at, want := range map[uint64]int32{0: 8, 0x10: 8, 0x11: 16, 0x13: 16, 0x14: 0, 0x1f: 0, 0x20: 0, 0x30: 8, 0x3f: 8, 0x40: 0} {
		r := table.Find(addr + at)
		if want == 0 && r.Kind != KindNone || want != 0 && (r.Kind != KindReg || r.Reg != amdRSP || int32(r.Off) != want) {
			t.Errorf("at %#x: %+v, want CFA = rsp + %d (0: no rule)", at, r, want)
		}
	}
}

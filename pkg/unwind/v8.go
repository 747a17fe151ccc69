package unwind

import (
	"bytes"
	"cmp"
	"debug/elf"
	"slices"
	"strings"
)

const (
	maxSymbols  = 8 << 20
	symbolBytes = 24 // Elf64_Sym
	maxHandlers = 8192
	maxHandler  = 64 << 10 // bytes of code
	maxName     = 128
)

// isHandler knows the handlers of bytecodes by their names. Those of calls push arguments without a frame.
func isHandler(symbol string) bool {
	name, ok := strings.CutPrefix(symbol, "Builtins_")
	for _, call := range []string{"Call", "Construct", "Invoke"} {
		ok = ok && !strings.HasPrefix(name, call)
	}
	return ok && strings.HasSuffix(name, "Handler")
}

// v8Rows compiles the handlers of V8's bytecodes on amd64, as node and chromium have them in their text, by their symbols.
// They have no unwind information. A handler sets up a frame (src/compiler/backend/x64/code-generator-x64.cc,
// AssembleConstructFrame) only in those of its blocks that call; these come after the others, and have frame pointers.
// Before, the return address is on top of the stack, and the frame pointer is that of the caller.
func v8Rows(f *image, b *builder) {
	if f.arch != AMD64 {
		return
	}
	enter := []byte{0x55, 0x48, 0x89, 0xe5} // push %rbp; mov %rsp,%rbp
	for _, h := range v8Handlers(f, b) {
		off, n, ok := f.offset(h.lo)
		if !ok || n < h.hi-h.lo {
			continue
		}
		code := f.bytes(off, h.hi-h.lo)
		if code == nil {
			continue
		}
		if _, ok := b.begin(h.lo, h.hi); !ok {
			continue
		}
		b.row(h.lo, Rule{Kind: KindReg, Reg: amdRSP, Off: 8}, 0)
		if i := bytes.Index(code, enter); i >= 0 {
			b.row(h.lo+uint64(i)+1, Rule{Kind: KindReg, Reg: amdRSP, Off: 16}, 0)
			b.row(h.lo+uint64(i)+uint64(len(enter)), Rule{}, 0)
		}
	}
}

// v8Handlers returns the code of handlers that no other source knows, in ascending order, without overlaps.
func v8Handlers(f *image, b *builder) []span {
	symtab, strtab := f.section(".symtab"), f.section(".strtab")
	// Of a file without unwind information every symbol would be looked at.
	if symtab == nil || strtab == nil || b.have.len() == 0 {
		return nil
	}
	symbols := f.view(symtab.off, symtab.size, 16, 1)
	names := f.view(strtab.off, strtab.size, 12, 64)
	var found []span
	for i := range min(symtab.size/symbolBytes, maxSymbols) {
		s := symbols.bytes(i*symbolBytes, symbolBytes)
		if s == nil || len(found) == maxHandlers {
			break
		}
		addr, size := le.Uint64(s[8:]), le.Uint64(s[16:])
		if elf.SymType(s[4]&15) != elf.STT_FUNC || size == 0 || size > maxHandler || addr+size < addr || b.known(addr) {
			continue
		}
		name := names.tail(uint64(le.Uint32(s)), maxName)
		if end := bytes.IndexByte(name, 0); end > 0 && isHandler(string(name[:end])) {
			found = append(found, span{addr, addr + size})
		}
	}
	slices.SortFunc(found, func(a, b span) int { return cmp.Compare(a.lo, b.lo) })
	out := found[:0]
	for _, h := range found {
		if len(out) == 0 || h.lo >= out[len(out)-1].hi {
			out = append(out, h)
		}
	}
	return out
}

package unwind

import (
	"debug/elf"
	"debug/gosym"
	"testing"
)

// goTableBytes is a small .gopclntab of Go 1.20's layout: one function at 0x1010 with
// frames of 0, 8 and 40 bytes.
func goTableBytes() []byte {
	const names, pcsp, funcs = 80, 112, 128
	b := le.AppendUint32(nil, magicGo120)
	b = append(b, 0, 0, 1, 8)
	for _, w := range []uint64{1, 1, 0x1010, names, names, names, pcsp, funcs} {
		b = le.AppendUint64(b, w)
	}
	b = append(b, make([]byte, funcs-len(b))...)
	copy(b[names:], "\x00main.f\x00")
	copy(b[pcsp:], []byte{0, 2, 1, 16, 3, 64, 0x2c, 0}) // +1 for 1 byte, +8 for 3, +32 for 44
	for _, v := range []uint32{0, 16, 0x30, 0} {
		b = le.AppendUint32(b, v)
	}
	for _, v := range []uint32{0, 1, 0, 0, 1, 0, 0, 0, 0, 1, 0} {
		b = le.AppendUint32(b, v)
	}
	return append(b, make([]byte, 64)...)
}

func TestGoTable(t *testing.T) {
	image := elfWith(elf.EM_X86_64, map[string][]byte{".gopclntab": goTableBytes()})
	copy(image[0x1010:], []byte{0x55, 0x48, 0x89, 0xe5}) // push %rbp; mov %rsp, %rbp
	tab := compileBytes(t, image, Options{})
	for at, want := range map[uint64]Rule{
		0x1010: {Kind: KindReg, Reg: 7, Off: 8, BX: BXLost},
		0x1011: {Kind: KindReg, Reg: 7, Off: 16, FP: FPSaved, FPOff: -16, BX: BXLost},
		0x1020: {Kind: KindReg, Reg: 7, Off: 48, FP: FPSaved, FPOff: -16, BX: BXLost},
		0x1040: {},
	} {
		if got := tab.Find(at); got != want {
			t.Errorf("%#x: %v, want %v", at, got, want)
		}
	}
}

// TestGoRoles: what is special in the runtime is so for both machines.
func TestGoRoles(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		t.Run(arch, func(t *testing.T) {
			t.Setenv("GOARCH", arch)
			t.Setenv("CGO_ENABLED", "0")
			path := build(t, "w.go", goSource, "go", "build")
			_, tab := openFile(t, path, Options{})
			f, err := elf.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			syms, err := f.Symbols()
			if err != nil {
				t.Fatal(err)
			}
			kinds := map[string]map[Kind]bool{}
			for _, s := range syms {
				if elf.ST_TYPE(s.Info) != elf.STT_FUNC {
					continue
				}
				name := (&gosym.Sym{Name: s.Name}).Name
				kinds[name] = map[Kind]bool{}
				for at := s.Value; at < s.Value+s.Size; at++ {
					kinds[name][tab.Find(at).Kind] = true
				}
			}
			for name, want := range map[string]Kind{
				"runtime.goexit.abi0": KindEnd, "runtime.rt0_go.abi0": KindEnd, "runtime.mstart.abi0": KindEnd,
				"runtime.mcall": KindEnd, "runtime.morestack.abi0": KindEnd, "runtime.systemstack.abi0": KindSwitch,
				"runtime.asmcgocall.abi0": KindSwitch, "main.walk": KindReg,
			} {
				if !kinds[name][want] {
					t.Errorf("%s has kinds %v, want %v among them", name, kinds[name], want)
				}
			}
			if kinds["main.walk"][KindNone] || kinds["main.walk"][KindSwitch] {
				t.Errorf("main.walk has kinds %v", kinds["main.walk"])
			}
			if c := tab.Stats; float64(c.CoveredBytes) < 0.99*float64(c.TextBytes) {
				t.Errorf("%d of %d bytes covered", c.CoveredBytes, c.TextBytes)
			}
		})
	}
}

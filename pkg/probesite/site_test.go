package probesite

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// code joins instructions.
func code(parts ...string) []byte { return []byte(strings.Join(parts, "")) }

const (
	endbr64   = "\xf3\x0f\x1e\xfa"
	testRdi   = "\x48\x85\xff"     // test %rdi,%rdi
	jeForward = "\x74\x02"         // je +2
	pushRbp   = "\x55"             // push %rbp
	pushR12   = "\x41\x54"         // push %r12
	movRbp    = "\x48\x89\xe5"     // mov %rsp,%rbp
	subRsp    = "\x48\x83\xec\x18" // sub $0x18,%rsp
	movRdi    = "\x48\x89\xf7"     // mov %rsi,%rdi
	movEax    = "\x89\xf8"         // mov %edi,%eax
	nop5      = "\x0f\x1f\x44\x00\x00"
	ret       = "\xc3"
	nop       = "\x90"
	mul       = "\x48\xf7\xe6" // mul %rsi: rdx:rax
)

func TestChooseAMD64(t *testing.T) {
	for name, c := range map[string]struct {
		code   []byte
		o      Options
		offset int
		class  Class
		loops  bool
		reason string
	}{
		"push first":           {code: code(pushRbp, movRbp, ret), class: Emulated},
		"push r12 first":       {code: code(pushR12, ret), class: Emulated},
		"CET":                  {code: code(endbr64, pushRbp, ret), offset: 4, class: Emulated},
		"glibc's free":         {code: code(testRdi, jeForward, pushRbp, movRbp, ret), offset: 3, class: Emulated},
		"argument kept":        {code: code(movEax, pushRbp, ret), o: Options{Args: 3}, offset: 2, class: Emulated},
		"argument changes":     {code: code(movRdi, pushRbp, ret), o: Options{Args: 1}, class: Stepped, reason: "argument"},
		"no argument wanted":   {code: code(movRdi, pushRbp, ret), offset: 3, class: Emulated},
		"hidden change":        {code: code(mul, pushRbp, ret), o: Options{Args: 3}, class: Stepped, reason: "may change"},
		"return address moved": {code: code(subRsp, pushRbp, ret), o: Options{Return: true}, class: Stepped, reason: "return address"},
		"return address kept":  {code: code(testRdi, pushRbp, ret), o: Options{Return: true}, offset: 3, class: Emulated},
		"five-byte nop inside": {code: code(endbr64, nop5, pushRbp, ret), offset: 9, class: Emulated},
		"five-byte nop only":   {code: code(endbr64, nop5, ret), class: Stepped, reason: "ends before"},
		"five-byte nop first":  {code: code(nop5, movEax, ret), class: Stepped, reason: "ends before"},
		"nothing to emulate":   {code: code(movEax, ret), class: Stepped, reason: "ends before"},
		"loop behind":          {code: code(testRdi, pushRbp, nop, "\xeb\xfd", ret), offset: 3, class: Emulated}, // jmp to nop
		"loop to the site":     {code: code(testRdi, pushRbp, nop, "\xeb\xfc", ret), class: Stepped, reason: "jumps into"},
		"loop before the site": {code: code(endbr64, testRdi, pushRbp, "\x75\xfa", ret), class: Stepped, reason: "jumps into"},
		"loop to the entry":    {code: code(testRdi, pushRbp, "\xeb\xfa", ret), offset: 3, class: Emulated, loops: true},
		"cut off":              {code: code(testRdi), class: Stepped, reason: "ends before"},
	} {
		site, err := Choose(c.code, c.o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if site.Offset != c.offset || site.Class != c.class || site.Loops != c.loops ||
			c.reason == "" != (site.Reason == "") || !strings.Contains(site.Reason, c.reason) {
			t.Errorf("%s: got %+v", name, site)
		}
	}
}

func TestChooseRefuses(t *testing.T) {
	for name, c := range map[string][]byte{
		"nothing": nil, "lock": code("\xf0\x48\xff\x07"), "ud2": code("\x0f\x0b"), "hlt": code("\xf4"), "half": code("\x48"),
		"nop5 in a loop": code(nop5, movRdi, "\xeb\xf6"), "nop5, and more": code(nop5, movEax, ret),
	} {
		if site, err := Choose(c, Options{Args: 1, Partial: name == "nop5, and more"}); !errors.Is(err, ErrUnprobeable) {
			t.Errorf("%s: %+v, %v", name, site, err)
		}
	}
}

func TestChooseARM64(t *testing.T) {
	const (
		paciasp = "\x3f\x23\x03\xd5"
		bti     = "\x5f\x24\x03\xd5"
		stp     = "\xfd\x7b\xbf\xa9" // stp x29, x30, [sp, #-16]!
		cbz     = "\x40\x00\x00\xb4" // cbz x0, +8
		movX0   = "\xe0\x03\x01\xaa" // mov x0, x1
		adrp    = "\x02\x00\x00\x90" // adrp x2, .
		retA    = "\xc0\x03\x5f\xd6"
		back    = "\xff\xff\xff\x17" // b -4
		ldxr    = "\x00\x7c\x5f\xc8" // ldxr x0, [x0]
	)
	for name, c := range map[string]struct {
		code   []byte
		o      Options
		offset int
		class  Class
		reason string
	}{
		"null check":       {code: code(bti, cbz, stp, retA), offset: 4, class: Emulated},
		"page address":     {code: code(stp, adrp, retA), offset: 4, class: Emulated},
		"argument changes": {code: code(movX0, cbz, retA), o: Options{Args: 1}, class: Stepped, reason: "argument"},
		"signed return":    {code: code(paciasp, cbz, retA), o: Options{Return: true}, class: Stepped, reason: "return address"},
		"signed, no probe": {code: code(paciasp, cbz, retA), offset: 4, class: Emulated},
		"loop":             {code: code(stp, cbz, back, retA), class: Stepped, reason: "jumps into"},
		"first":            {code: code(cbz, retA), class: Emulated},
	} {
		c.o.Arch = ARM64
		site, err := Choose(c.code, c.o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if site.Offset != c.offset || site.Class != c.class || c.reason == "" != (site.Reason == "") || !strings.Contains(site.Reason, c.reason) {
			t.Errorf("%s: got %+v", name, site)
		}
	}
	if site, err := Choose(code(ldxr, retA), Options{Arch: ARM64}); !errors.Is(err, ErrUnprobeable) {
		t.Errorf("exclusive load: %+v, %v", site, err)
	}
}

func FuzzChoose(f *testing.F) {
	f.Add(code(endbr64, testRdi, jeForward, pushRbp, ret), uint8(0), uint8(2), true)
	f.Add(code("\xfd\x7b\xbf\xa9\x40\x00\x00\xb4"), uint8(1), uint8(1), false)
	f.Fuzz(func(t *testing.T, code []byte, arch, args uint8, ret bool) {
		o := Options{Arch: Arch(arch % 2), Args: int(args % 7), Return: ret}
		site, err := Choose(code, o)
		if err == nil && (site.Offset < 0 || site.Offset >= len(code)) {
			t.Errorf("site %+v in %d bytes", site, len(code))
		}
		if err == nil && site.Offset > 0 && site.Class != Emulated {
			t.Errorf("site %+v: off the entry, and not cheap", site)
		}
	})
}

func TestJumps(t *testing.T) {
	for name, c := range map[string]struct {
		arch Arch
		code []byte
		want []int
	}{
		"jump":        {AMD64, code("\xe9\x10\x00\x00\x00"), []int{0x15}},
		"marked":      {AMD64, code(endbr64, "\xeb\xf0"), []int{-10}},
		"musl valloc": {AMD64, code("\x48\x89\xfe\xbf\x00\x10\x00\x00", "\xe9\x00\x01\x00\x00"), []int{0x10d}},
		"within":      {AMD64, code(testRdi, "\x74\x01", nop, ret), nil},
		"sometimes":   {AMD64, code(testRdi, "\x74\x7f", ret), []int{0x84}},
		"calls":       {AMD64, code("\xe8\x00\x10\x00\x00", ret), nil},
		"arm64":       {ARM64, code("\x5f\x24\x03\xd5", "\x04\x00\x00\x14"), []int{20}}, // bti c; b +16
	} {
		var got []int
		Jumps(c.code, c.arch, func(to int) { got = append(got, to) })
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %#x, want %#x", name, got, c.want)
		}
	}
}

func TestSlot(t *testing.T) {
	if slot, ok := Slot(code(endbr64, "\xf2\xff\x25\x10\x00\x00\x00"), 0x1000, AMD64); slot != 0x101b || !ok {
		t.Errorf("amd64: %#x, %v", slot, ok)
	}
	// adrp x16, +0x10000; ldr x17, [x16, #0x18]; add x16, x16, #0x18; br x17
	if slot, ok := Slot(code("\x90\x00\x00\x90", "\x11\x0e\x40\xf9", "\x10\x62\x00\x91", "\x20\x02\x1f\xd6"), 0x1234, ARM64); slot != 0x11018 || !ok {
		t.Errorf("arm64: %#x, %v", slot, ok)
	}
	if slot, ok := Slot(code(ret), 0, AMD64); ok {
		t.Errorf("a return jumps through %#x", slot)
	}
}

package symbolize

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const kallsyms = `ffffffff81000000 T _stext
ffffffff81000000 T _text
ffffffff81000000 T startup_64
ffffffff81000100 t __pfx_do_work
ffffffff81000110 t do_work
ffffffff81000110 T __do_work_alias
ffffffff81000200 W weak_one
ffffffff81000300 t _RNvNtCs1234_4core3fmt5write
ffffffff81000400 T _etext
ffffffff81001000 D some_data
ffffffff81002000 T __init_begin
ffffffffc0201000 t ftrace_trampoline	[__builtin__ftrace]
ffffffffc0300000 t mod_fn	[some_mod]
ffffffffc0300080 d mod_data	[some_mod]
ffffffffc0400000 t bpf_prog_6deef7357e7b4530	[bpf]
`

func TestReadKernel(t *testing.T) {
	k, err := ReadKernel(strings.NewReader(kallsyms))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		addr         uint64
		name, module string
	}{
		{0, "", ""},
		{0xffffffff80ffffff, "", ""},
		{0xffffffff81000000, "startup_64", ""},
		{0xffffffff8100010f, "startup_64", ""}, // padding of the next, see parseKernelLine
		{0xffffffff81000110, "__do_work_alias", ""},
		{0xffffffff810001ff, "__do_work_alias", ""},
		{0xffffffff81000280, "weak_one", ""},
		{0xffffffff81000300, "core::fmt::write", ""},
		{0xffffffff81000400, "", ""},
		{0xffffffff81001000, "", ""},
		{0xffffffff81002004, "__init_begin", ""},
		{0xffffffff81002000 + maxKernelFunction, "", ""},
		{0xffffffffc0201010, "ftrace_trampoline", "__builtin__ftrace"},
		{0xffffffffc030007f, "mod_fn", "some_mod"},
		{0xffffffffc0300080, "", ""},
		{0xffffffffc0500000, "bpf_prog_6deef7357e7b4530", "bpf"},
		{0xffffffffc0400000 + maxBPFProgram, "", ""},
		{^uint64(0), "", ""},
	} {
		got := ""
		if f := k.Frames(tt.addr); len(f) > 0 {
			got = f[0].Name
		}
		if got != tt.name || k.Module(tt.addr) != tt.module {
			t.Errorf("%#x: got %q [%s], want %q [%s]", tt.addr, got, k.Module(tt.addr), tt.name, tt.module)
		}
	}
}

func TestReadKernelErrors(t *testing.T) {
	hidden := "0000000000000000 T _stext\n0000000000000000 t do_work\n"
	if _, err := ReadKernel(strings.NewReader(hidden)); !errors.Is(err, ErrKernelAddressesHidden) {
		t.Errorf("hidden addresses: %v", err)
	}
	for _, in := range []string{"", "\n\n", "no kallsyms at all\n", "zz T x\n", "ffffffff81000000 T\n"} {
		if k, err := ReadKernel(strings.NewReader(in)); err == nil || errors.Is(err, ErrKernelAddressesHidden) {
			t.Errorf("%q: %v %v", in, k, err)
		}
	}
	long := "ffffffff81000000 T " + strings.Repeat("x", 1<<20) + "\nffffffff81000100 T next\n"
	k, err := ReadKernel(strings.NewReader(long))
	if err != nil || k.Frames(0xffffffff81000100)[0].Name != "next" || len(k.Frames(0xffffffff81000000)[0].Name) > maxKernelLine {
		t.Errorf("long line: %v %v", k, err)
	}
	broken := io.MultiReader(strings.NewReader(kallsyms), errReader{})
	if _, err := ReadKernel(broken); !errors.Is(err, os.ErrClosed) {
		t.Errorf("failing reader: %v", err)
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, os.ErrClosed }

// TestKernelAgainstKallsyms compares with a plain reading of the same file.
func TestKernelAgainstKallsyms(t *testing.T) {
	raw, err := os.ReadFile("/proc/kallsyms")
	if err != nil {
		t.Skip(err)
	}
	k, err := ReadKernel(bytes.NewReader(raw))
	if errors.Is(err, ErrKernelAddressesHidden) {
		t.Skip("needs CAP_SYSLOG: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	names := map[uint64][]string{}
	var addrs []uint64
	in := bufio.NewScanner(bytes.NewReader(raw))
	for in.Scan() {
		f := strings.Fields(in.Text())
		a, err := strconv.ParseUint(f[0], 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains("tTwW", f[1]) || strings.HasPrefix(f[2], "__pfx_") || strings.HasPrefix(f[2], "$") {
			continue
		}
		if names[a] == nil {
			addrs = append(addrs, a)
		}
		names[a] = append(names[a], f[2])
	}
	slices.Sort(addrs)
	wrong := 0
	for i, a := range addrs {
		for _, at := range []uint64{a, a + 1} {
			if at != a && i+1 < len(addrs) && at >= addrs[i+1] {
				continue
			}
			got := name(k.Frames(at))
			if !slices.Contains(names[a], got) && names[a][0] != "_etext" && names[a][0] != "_einittext" {
				if wrong++; wrong < 10 {
					t.Errorf("%#x: got %q, kallsyms has %q", at, got, names[a])
				}
			}
		}
	}
	t.Logf("%d addresses, %d bytes, %d bytes of text read", k.Symbols(), k.MemoryBytes(), len(raw))
	if len(addrs) < 1000 || wrong > 0 {
		t.Errorf("%d addresses, %d wrong", len(addrs), wrong)
	}
}

func TestVDSO(t *testing.T) {
	o, err := VDSO()
	if err != nil {
		t.Fatal(err)
	}
	s := o.Executable()[0]
	found := map[string]bool{}
	for a := s.Vaddr; a < s.Vaddr+s.Memsz; a++ {
		for _, f := range o.Frames(a) {
			found[f.Name] = true
		}
	}
	want := map[string]string{"amd64": "clock_gettime", "arm64": "__kernel_clock_gettime"}
	if w := want[runtime.GOARCH]; w != "" && !found[w] {
		t.Errorf("no %s in the vDSO: %v", w, found)
	}
	if len(o.BuildID()) != 40 {
		t.Errorf("build ID %q", o.BuildID())
	}
}

package profile

import (
	"testing"

	"github.com/google/pprof/profile"
)

func TestKindOf(t *testing.T) {
	for _, c := range []struct {
		mapping, name, system, file string
		addr                        uint64
		want                        Kind
	}{
		{"[kernel]", "vfs_read", "", "", 1, KindKernel},
		{"[kernel.kallsyms]_stext", "vfs_read", "", "", 1, KindKernel},
		{"/lib/modules/6.1/ext4.ko.xz", "ext4_map_blocks", "", "", 1, KindKernel},
		{"[ext4]", "ext4_map_blocks", "", "", 0xffffffffc0001000, KindKernel},
		{"[vdso]", "clock_gettime", "", "", 1, KindVDSO},
		{"[vsyscall]", "gettimeofday", "", "", 0xffffffffff600000, KindVDSO},
		{"[jit]", "LazyCompile:*f /a.js", "", "", 1, KindJIT},
		{"/tmp/perf-12.map", "Lfoo;::bar", "", "", 1, KindJIT},
		{"", "[truncated]", "", "", 0, KindMarker},
		{"", "[not a marker", "", "", 0, KindNative},
		{"/bin/a", "[x]", "", "", 5, KindNative},
		{"/bin/a", "main.main", "", "/src/main.go", 5, KindGo},
		{"/bin/a", "runtime.mallocgc", "", "", 5, KindGo},
		{"/bin/a", "github.com/acme/x.(*T).M", "", "", 5, KindGo},
		{"/bin/a", "foo.cold", "", "", 5, KindNative},
		{"/bin/a", "foo.part.0", "foo.part.0", "", 5, KindNative},
		{"/bin/a", "memcpy", "", "memcpy.S", 5, KindC},
		{"/bin/a", "memeqbody", "", "/go/src/internal/bytealg/equal_amd64.s", 5, KindGo},
		{"/bin/a", "aeshashbody", "", "/go/src/runtime/asm_arm64.s", 5, KindGo},
		{"/bin/a", "main", "", "main.c", 5, KindC},
		{"/bin/a", "std::vector<int>::push_back(int)", "_ZNSt6vectorIiE9push_backEi", "", 5, KindCPP},
		{"/bin/a", "f", "", "a.cc", 5, KindCPP},
		{"/bin/a", "core::ptr::drop_in_place", "_ZN4core3ptr13drop_in_place17h0123456789abcdefE", "", 5, KindRust},
		{"/bin/a", "<alloc::vec::Vec<T> as core::ops::Drop>::drop", "", "", 5, KindRust},
		{"/bin/a", "app::run", "_RNvC3app3run", "", 5, KindRust},
		{"", "handle", "", "app.py", 0, KindInterpreter},
		{"/lib/libfoo.so", "foo", "", "", 5, KindNative},
	} {
		l := &profile.Location{Address: c.addr, Line: []profile.Line{{Function: &profile.Function{Name: c.name, SystemName: c.system, Filename: c.file}}}}
		if c.mapping != "" {
			l.Mapping = &profile.Mapping{File: c.mapping}
		}
		if got := KindOf(l, 0); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	two := &profile.Location{Line: []profile.Line{
		{Function: &profile.Function{Name: "inner", Filename: "a.go"}}, {Function: &profile.Function{Name: "outer", Filename: "a.go"}},
	}}
	if a, b := KindOf(two, 0), KindOf(two, 1); a != KindInlined || b != KindGo {
		t.Errorf("inlined call is %v in %v", a, b)
	}
	if got := KindOf(&profile.Location{Mapping: &profile.Mapping{File: "/lib/x.so"}, Address: 1}, 0); got != KindNative {
		t.Errorf("location without a name is %v", got)
	}
	for k := range Kind(NumKinds) {
		if k.String() == "" || k.String() == "unknown" {
			t.Errorf("kind %d has no name", k)
		}
	}
}

func TestName(t *testing.T) {
	for want, l := range map[string]*profile.Location{
		"libc.so.6+0x1f":  {Mapping: &profile.Mapping{File: "/lib/libc.so.6 (deleted)"}, Address: 0x1f},
		"[anon: a/b]+0x1": {Mapping: &profile.Mapping{File: "[anon: a/b]"}, Address: 1},
		"0x2":             {Address: 2},
		"f":               {Line: []profile.Line{{Function: &profile.Function{Name: "f"}}}},
		"_Zf":             {Line: []profile.Line{{Function: &profile.Function{SystemName: "_Zf"}}}},
	} {
		if got := Name(l, 0); got != want {
			t.Errorf("got %q; want %q", got, want)
		}
	}
}

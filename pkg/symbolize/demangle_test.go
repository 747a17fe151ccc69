package symbolize

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestDemangle(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"main", "main"},
		{"_Z", "_Z"},
		{"_ZN4shop5ShelfIiE4sortEv", "shop::Shelf<int>::sort"},
		{"_ZNK4shop4Book5priceEi", "shop::Book::price"},
		{"_ZN4shop5labelERKSt3mapIiiE.cold", "shop::label.cold"},
		{"_ZN4shop5labelEv.part.0.isra.1", "shop::label.part.0.isra.1"},
		{"_ZZ4mainENKUliE_clEi", "main::{lambda(int)#1}::operator()"},
		{"_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE", "core::fmt::Write::write_fmt"},
		{"_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE.llvm.1234", "core::fmt::Write::write_fmt"},
		{"_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar"},
		{"_RNvXs_NtCs1_4shop1mNtB4_4BookNtB4_5Price5price", "<shop::m::Book as shop::m::Price>::price"},
		{"caf\xe9", "caf\ufffd"},
		{"a\nb;c\x1b[1m", "a\ufffdb;c\ufffd[1m"},
		{"_Z" + strings.Repeat("N", maxMangled), "_Z" + strings.Repeat("N", maxMangled)},
	} {
		if got := Demangle(tt.in); got != tt.want {
			t.Errorf("%.80q: got %.80q, want %.80q", tt.in, got, tt.want)
		}
	}
	if got := Demangle(strings.Repeat("x", 1<<20)); len(got) != maxName {
		t.Errorf("a name of 1 MiB became %d bytes", len(got))
	}
}

// TestDemangleAgainstCxxfilt compares real names with binutils'.
func TestDemangleAgainstCxxfilt(t *testing.T) {
	if _, err := exec.LookPath("c++filt"); err != nil {
		t.Skip(err)
	}
	path := compile(t, "native.cc")
	var names []string
	for _, n := range strings.Fields(run(t, "", nil, "sh", "-c", "nm -j "+path+" 2>/dev/null || nm "+path+" | awk '{print $NF}'")) {
		if strings.HasPrefix(n, "_Z") && !strings.ContainsAny(n, ".@") && !strings.HasPrefix(n, "_ZT") && !strings.HasPrefix(n, "_ZG") {
			names = append(names, n)
		}
	}
	want := strings.Split(strings.TrimSpace(run(t, "", nil, "c++filt", append([]string{"-p"}, names...)...)), "\n")
	if len(want) != len(names) || len(names) < 50 {
		t.Fatalf("%d names, %d demangled", len(names), len(want))
	}
	wrong := 0
	for i, n := range names {
		if got := Demangle(n); got != want[i] {
			wrong++
			t.Logf("%s: got %q, c++filt says %q", n, got, want[i])
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d differ", wrong, len(names))
	}
}

func ExampleDemangle() {
	fmt.Println(Demangle("_ZN4shop5ShelfIiE4sortEv"))
	fmt.Println(Demangle("_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE"))
	// Output:
	// shop::Shelf<int>::sort
	// core::fmt::Write::write_fmt
}

func FuzzDemangle(f *testing.F) {
	for _, s := range []string{"_ZN4shop5ShelfIiE4sortEv", "_RNvNtCs1234_7mycrate3foo3bar", "_ZN4core3fmt17h0123456789abcdefE.llvm.1", "_GLOBAL__sub_I__Zx", "_ZSt4swapI1AENSt9enable_ifIXsr6__and_IX", "a\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Demangle(s)
		if !utf8.ValidString(got) || len(got) > 3*(maxName+maxMangled) || strings.ContainsAny(got, "\n\r\x1b\x00") {
			t.Errorf("%q became %q", s, got)
		}
	})
}

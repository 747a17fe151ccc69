package profile

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

var (
	exe    = Mapping{Start: 0x1000, Limit: 0x9000, File: "/bin/exe", BuildID: "abc"}
	lib    = Mapping{Start: 0x1000, Limit: 0x9000, File: "/lib/libc.so.6"}
	kernel = Mapping{File: KernelMapping}
)

func newTestBuilder() *Builder {
	return NewBuilder(BuilderOptions{
		SampleTypes: []ValueType{{"samples", "count"}, {"cpu", "nanoseconds"}},
		PeriodType:  ValueType{"cpu", "nanoseconds"}, Period: 10,
		Start: time.Unix(1, 5), Duration: time.Second, Comments: []string{"bad \xff byte"},
	})
}

func TestBuilder(t *testing.T) {
	b := newTestBuilder()
	libc := b.Location(lib, 0x1234, nil)
	sys := b.Location(kernel, 0xffffffff81000000, []Frame{{Name: "sys"}})
	inl := b.Location(exe, 0x2000, []Frame{{Name: "inner", File: "a.c", Line: 3}, {Name: "outer", SystemName: "_outer", File: "a.c", Line: 9}})
	if again := b.Location(exe, 0x2000, []Frame{{Name: "other"}}); again != inl {
		t.Error("one address of a file has two locations")
	}
	locs := []*profile.Location{sys, libc, inl}
	b.Sample(locs, Labels{Comm: "c\xff", PID: 7, TID: 8, Service: "s"}, 1, 10)
	b.Sample(locs, Labels{Comm: "c\xff", PID: 7, TID: 8, Service: "s"}, 2, 20)
	b.Sample(locs, Labels{Comm: "d", Stack: "truncated"}, 1, 10)
	b.Sample(locs[1:], Labels{Comm: "d"}, 1, 10)
	locs[0] = nil // the builder must have its own copy
	p := b.Profile()
	if err := p.CheckValid(); err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if err := p.Write(&buf); err != nil {
		t.Fatal(err)
	}
	p, err := profile.ParseData(buf.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Sample) != 3 || len(p.Location) != 3 || len(p.Function) != 3 || len(p.Mapping) != 3 {
		t.Fatalf("got %d samples, %d locations, %d functions, %d mappings", len(p.Sample), len(p.Location), len(p.Function), len(p.Mapping))
	}
	if p.DefaultSampleType != "cpu" || p.TimeNanos != 1e9+5 || p.DurationNanos != 1e9 || p.Comments[0] != "bad \uFFFD byte" {
		t.Errorf("header: %q, %d, %d, %q", p.DefaultSampleType, p.TimeNanos, p.DurationNanos, p.Comments)
	}
	if m := p.Mapping[0]; m.File != exe.File || !m.HasFunctions || !m.HasLineNumbers || !m.HasInlineFrames {
		t.Errorf("first mapping = %+v; want the symbolized executable", m)
	}
	for _, m := range p.Mapping[1:] {
		if m.HasFunctions != (m.File == KernelMapping) || m.HasFilenames {
			t.Errorf("mapping %+v", m)
		}
	}
	i := slices.IndexFunc(p.Sample, func(s *profile.Sample) bool { return Comm(s) == "c\uFFFD" })
	if i < 0 {
		t.Fatal("no sample with a sanitized comm")
	}
	s := p.Sample[i]
	if s.Value[0] != 3 || s.Value[1] != 30 || s.NumLabel[LabelPID][0] != 7 || s.NumLabel[LabelTID][0] != 8 || len(s.Label) != 2 {
		t.Errorf("sample = %+v", s)
	}
	if l := s.Location[2]; len(l.Line) != 2 || l.Line[0].Function.Name != "inner" || l.Line[1].Function.SystemName != "_outer" || l.Line[0].Line != 3 {
		t.Errorf("inlined location = %+v", l)
	}
}

// TestPseudoMappings keeps apart what different processes have at one address.
func TestPseudoMappings(t *testing.T) {
	b := newTestBuilder()
	jit := Mapping{File: JITMapping}
	a, c := b.Location(jit, 0x10, []Frame{{Name: "a"}}), b.Location(jit, 0x10, []Frame{{Name: "c"}})
	if a == c {
		t.Error("two JIT functions at one address are one location")
	}
	x := b.Marker("[x]")
	if again, y := b.Marker("[x]"), b.Marker("[y]"); again != x || x == y {
		t.Error("markers are not told apart by name")
	}
}

// TestBuilderOrder gets the same bytes whatever the order of additions.
func TestBuilderOrder(t *testing.T) {
	build := func(reverse bool) []byte {
		b := newTestBuilder()
		adds := []func(){
			func() {
				b.Sample([]*profile.Location{b.Location(exe, 1, nil), b.Marker("[truncated]")}, Labels{Comm: "a", TID: 1}, 1, 10)
			},
			func() { b.Sample([]*profile.Location{b.Location(exe, 1, nil)}, Labels{Comm: "b"}, 1, 10) },
			func() {
				b.Sample([]*profile.Location{b.Location(lib, 2, []Frame{{Name: "f"}}), b.Location(exe, 1, nil)}, Labels{}, 5, 50)
			},
			func() {
				b.Sample([]*profile.Location{b.Location(kernel, 2, []Frame{{Name: "g"}})}, Labels{TID: 4, Stack: "x"}, 5, 50)
			},
			func() {
				b.Sample([]*profile.Location{b.Location(kernel, 2, []Frame{{Name: "g"}})}, Labels{TID: 3, Stack: "x"}, 5, 50)
			},
		}
		if reverse {
			slices.Reverse(adds)
		}
		for _, add := range adds {
			add()
		}
		var buf bytes.Buffer
		if err := b.Profile().WriteUncompressed(&buf); err != nil {
			t.Fatal(err)
		}
		return buf.Bytes()
	}
	if !bytes.Equal(build(false), build(true)) {
		t.Error("the order of additions shows in the profile")
	}
}

func BenchmarkBuilder(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		builder := newTestBuilder()
		locs := make([]*profile.Location, 40)
		for i := range 20_000 {
			for d := range locs {
				locs[d] = builder.Location(exe, uint64(d*100+i%(d+1)), nil)
			}
			builder.Sample(locs, Labels{Comm: "bench", PID: 1, TID: int64(i % 50)}, 1, 10)
		}
		builder.Profile()
	}
}

package symbolize

import (
	"bytes"
	"debug/elf"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// addresses returns n addresses in the sized functions of a program.
func addresses(b *testing.B, path string, dynamic bool, n int) []uint64 {
	b.Helper()
	ef, err := elf.Open(path)
	if err != nil {
		b.Skip(err)
	}
	defer ef.Close()
	syms, err := ef.Symbols()
	if dynamic {
		syms, err = ef.DynamicSymbols()
	}
	if err != nil {
		b.Skip(err)
	}
	var all []uint64
	for _, s := range syms {
		if elf.ST_TYPE(s.Info) == elf.STT_FUNC && s.Size > 0 && s.Section != elf.SHN_UNDEF {
			all = append(all, s.Value+s.Size/2)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	out := make([]uint64, n)
	for i := range out {
		out[i] = all[rng.IntN(len(all))]
	}
	return out
}

func benchmarkFrames(b *testing.B, o *Object, addrs []uint64) {
	named := 0
	for _, a := range addrs {
		if o.Frames(a) != nil {
			named++
		}
	}
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		o.Frames(addrs[i%len(addrs)])
		i++
	}
	b.ReportMetric(float64(o.MemoryBytes()), "held-bytes")
	b.ReportMetric(float64(named)/float64(len(addrs)), "named")
}

func BenchmarkFramesGo(b *testing.B) {
	path := buildGo(b, false, "")
	benchmarkFrames(b, open(b, path), addresses(b, path, false, 2000))
}

func BenchmarkFramesRust(b *testing.B) {
	path := compile(b, "native.rs", "-O")
	benchmarkFrames(b, open(b, path), addresses(b, path, false, 2000))
}

func BenchmarkFramesLibc(b *testing.B) {
	libs, _ := filepath.Glob("/lib/*-linux-gnu/libc.so.6")
	if len(libs) == 0 {
		b.Skip("needs glibc")
	}
	o := open(b, libs[0])
	o.SetDebug(DebugDirs{Roots: []string{}}, "")
	benchmarkFrames(b, o, addresses(b, libs[0], true, 2000))
}

// BenchmarkIndex measures what the first address of an object costs.
func BenchmarkIndex(b *testing.B) {
	path := compile(b, "native.rs", "-O")
	o := open(b, path)
	entry := o.Executable()[0].Vaddr
	b.ReportAllocs()
	for b.Loop() {
		o.Release()
		o.Frames(entry)
	}
	s := o.resolvers[0].(*symbols)
	b.ReportMetric(float64(s.memory())/float64(len(s.index)), "bytes/function")
}

func BenchmarkNewObject(b *testing.B) {
	path := compile(b, "native.rs", "-O")
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := NewObject(f, info.Size()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadKernel(b *testing.B) {
	raw, err := os.ReadFile("/proc/kallsyms")
	if err != nil {
		b.Skip(err)
	}
	b.SetBytes(int64(len(raw)))
	var k *Kernel
	for b.Loop() {
		if k, err = ReadKernel(bytes.NewReader(raw)); err != nil {
			b.Skip(err)
		}
	}
	b.ReportMetric(float64(k.MemoryBytes()), "held-bytes")
}

func TestConcurrentUse(t *testing.T) {
	o := open(t, buildGo(t, true, ""))
	seg := o.Executable()[0]
	want := o.Frames(seg.Vaddr + seg.Memsz/2)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 500 {
				o.Frames(seg.Vaddr + (uint64(i*500+j)*977)%seg.Memsz)
				if j%100 == 0 {
					o.Release()
				}
				o.MemoryBytes()
			}
		})
	}
	wg.Wait()
	if got := o.Frames(seg.Vaddr + seg.Memsz/2); len(got) != len(want) || (len(got) > 0 && got[0] != want[0]) {
		t.Errorf("got %v, want %v", got, want)
	}
}

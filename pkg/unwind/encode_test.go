package unwind

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"testing"
)

func compiledSelf(tb testing.TB) *Table {
	tb.Helper()
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		tb.Fatal(err)
	}
	t, err := Compile(f, info.Size(), Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func TestEncode(t *testing.T) {
	want := compiledSelf(t)
	var b bytes.Buffer
	if err := want.Encode(&b); err != nil {
		t.Fatal(err)
	}
	got, err := Decode(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if got.Arch != want.Arch || got.Base != want.Base || !slices.Equal(got.Rules, want.Rules) || got.Len() != want.Len() {
		t.Fatalf("%d rows and %d rules, want %d and %d", got.Len(), len(got.Rules), want.Len(), len(want.Rules))
	}
	for i := range want.Len() {
		if got.Row(i) != want.Row(i) {
			t.Fatalf("row %d is %+v, want %+v", i, got.Row(i), want.Row(i))
		}
	}
	raw := b.Bytes()
	for _, cut := range []int{0, 5, len(encodedMagic) + 3, len(raw) / 2, len(raw) - 1} {
		if _, err := Decode(bytes.NewReader(raw[:cut])); !errors.Is(err, ErrEncoding) {
			t.Errorf("cut to %d bytes: %v", cut, err)
		}
	}
	for _, at := range []int{2, len(encodedMagic) + 1, len(raw) / 2, len(raw) - 2} {
		damaged := slices.Clone(raw)
		damaged[at] ^= 1
		if _, err := Decode(bytes.NewReader(damaged)); !errors.Is(err, ErrEncoding) {
			t.Errorf("byte %d damaged: %v", at, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	small := &Table{Arch: AMD64, Rules: []Rule{{}, {Kind: KindReg, Reg: 7, Off: 8}}, rows: &rows{}}
	small.rows.append(Row{1, 1})
	small.rows.append(Row{9, 0})
	var b bytes.Buffer
	if err := small.Encode(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, raw []byte) {
		if table, err := Decode(bytes.NewReader(raw)); err == nil {
			table.Find(table.Base + 5)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	var buf bytes.Buffer
	if err := compiledSelf(b).Encode(&buf); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(buf.Len()))
	for b.Loop() {
		if _, err := Decode(bytes.NewReader(buf.Bytes())); err != nil {
			b.Fatal(err)
		}
	}
}

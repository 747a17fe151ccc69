package usdt

import (
	"bytes"
	"encoding/binary"
	"os"
	"reflect"
	"testing"

	"github.com/ebpfprof/ebpfprof/internal/target"
)

// A program's own probe, with a semaphore: where it is, is told by what is there.
func TestFind(t *testing.T) {
	raw, err := os.ReadFile(target.C(t, "ownsampler"))
	if err != nil {
		t.Fatal(err)
	}
	found, err := Find(bytes.NewReader(raw), "otel_memory")
	if err != nil || len(found) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	p := found[0]
	if p.Name != "alloc" || len(p.Args) != 3 || p.Semaphore == 0 {
		t.Errorf("%+v", p)
	}
	for _, a := range p.Args {
		if a.Register < 0 {
			t.Errorf("%q is in no register", a.Text)
		}
	}
	if nop := raw[p.Offset]; nop != 0x90 && binary.LittleEndian.Uint32(raw[p.Offset:]) != 0xd503201f {
		t.Errorf("%#x at the probe, want a NOP", nop)
	}
	if found, err = Find(bytes.NewReader(raw), "other"); err != nil || len(found) != 0 {
		t.Errorf("another provider: %+v, %v", found, err)
	}
}

func TestFindNone(t *testing.T) {
	if _, err := Find(bytes.NewReader([]byte("#!/bin/sh\n")), "otel_memory"); err == nil {
		t.Error("a script has probes")
	}
}

func TestParseArgs(t *testing.T) {
	for _, c := range []struct {
		text string
		arch arch
		want []int
	}{
		{"8@%rdi -8@%rsi 8@%rdx", amd64, []int{14, 13, 12}},
		{"8@%r15 4@%edi 8@-8(%rbp) 8@$5 8@ @ 8", amd64, []int{0, -1, -1, -1, -1, -1, -1}},
		{"8@x0 8@x30 8@x31 8@w1 8@[sp, 8] 8@", arm64, []int{0, 30, -1, -1, -1, -1, -1}},
		{"", amd64, nil},
	} {
		var got []int
		for _, a := range parseArgs(c.text, c.arch) {
			got = append(got, a.Register)
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %v, want %v", c.text, got, c.want)
		}
	}
}

// noteOf makes one note.
func noteOf(owner string, kind uint32, desc []byte) []byte {
	pad := func(b []byte) []byte { return append(b, make([]byte, -len(b)&3)...) }
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(owner)+1))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(desc)))
	b = binary.LittleEndian.AppendUint32(b, kind)
	return append(append(b, pad(append([]byte(owner), 0))...), pad(desc)...)
}

func descOf(text string) []byte {
	b := binary.LittleEndian.AppendUint64(nil, 0x1000)
	b = binary.LittleEndian.AppendUint64(b, 0x2000)
	return append(binary.LittleEndian.AppendUint64(b, 0x3000), text...)
}

func TestParseNotes(t *testing.T) {
	good := noteOf("stapsdt", 3, descOf("p\x00n\x008@%rdi\x00"))
	all := bytes.Join([][]byte{
		noteOf("GNU", 3, descOf("p\x00n\x00a\x00")), noteOf("stapsdt", 4, descOf("p\x00n\x00a\x00")),
		noteOf("stapsdt", 3, descOf("p\x00n")), noteOf("stapsdt", 3, []byte{1}), good,
	}, nil)
	want := []note{{0x1000, 0x2000, 0x3000, "p", "n", "8@%rdi"}}
	if got := parse(all, binary.LittleEndian); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if got := parse(good[:len(good)-1], binary.LittleEndian); len(got) != 0 {
		t.Errorf("a note that is cut short: %+v", got)
	}
}

func FuzzParseNotes(f *testing.F) {
	f.Add(noteOf("stapsdt", 3, descOf("p\x00n\x008@%rdi 8@x1\x00")))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 3, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, n := range parse(b, binary.LittleEndian) {
			if len(n.args)+len(n.name) > len(b) {
				t.Errorf("%d bytes of text from %d", len(n.args)+len(n.name), len(b))
			}
			for _, arch := range []arch{amd64, arm64} {
				for _, a := range parseArgs(n.args, arch) {
					if a.Register < -1 || a.Register > 30 {
						t.Errorf("register %d", a.Register)
					}
				}
			}
		}
	})
}
